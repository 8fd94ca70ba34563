#include "cli/secrets.h"

#include "ask/ask.h"
#include "base/file.h"

bool secret_is_given(const struct call *call, const char *option)
{
    return call_option(call, option) != NULL;
}

static int name_option(const char *option, struct error *error)
{
    if (error->kind == ERROR_USAGE && !error->remedy[0])
        error_remedy(error, "without a terminal, use --%s FILE", option);
    return (int)error->kind;
}

static int from_path(const char *path, const char *option, const char *prompt, size_t max, struct secret *ret,
                     struct error *error)
{
    struct ask_way way = ask_way_terminal();

    if (path)
        return file_read_secret(path, max, ret, error);
    return ask_secret(&way, prompt, ret, error) ? name_option(option, error) : 0;
}

int secret_from_call(const struct call *call, const char *option, const char *prompt, size_t max, struct secret *ret,
                     struct error *error)
{
    return from_path(call_option(call, option), option, prompt, max, ret, error);
}

int secret_from_call_at(const struct call *call, const char *option, size_t i, const char *prompt, size_t max,
                        struct secret *ret, struct error *error)
{
    return from_path(call_option_at(call, option, i), option, prompt, max, ret, error);
}

int pin_from_call(const struct call *call, const char *option, struct secret *ret, struct error *error)
{
    int r = secret_from_call(call, option, "PIN", ASK_MAX_BYTES, ret, error);

    if (!r && secret_is_given(call, option))
        secret_chomp(ret);
    return r;
}

int new_pin_from_call(const struct call *call, const char *option, const struct pin_rules *rules, struct secret *ret,
                      struct error *error)
{
    struct ask_way way = ask_way_terminal();
    int r;

    if (secret_is_given(call, option))
        r = pin_from_call(call, option, ret, error);
    else
        r = ask_new_secret(&way, "New PIN", ret, error);
    if (r == ERROR_WRONG_PIN) /* longer than any PIN */
        return error_rekind(error, ERROR_USAGE);
    if (r)
        return secret_is_given(call, option) ? r : name_option(option, error);
    return policy_pin_check(rules, ret, error);
}
