#include "protect/suspend.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "cli/suspend-words.h"
#include "cli/verb.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct option_row options[] = {
    { "reboots", "N", "how many reboots it covers, 1 to 15; default 1" },
    { "for", "DURATION", "and no longer than that of powered time: 90m, 2h, 1d" },
    { "then-reseal", NULL, "boot-ok approves what a suspended boot has measured" },
    { "update", NULL, "for an update that cannot be foreseen: one reboot, then reseal; an earlier one serves as well" },
    { "firmware", NULL, "for a firmware update: six resets to spare, then reseal if the firmware alone has changed" },
    { "allow-no-pin", NULL, "also where a protector has no PIN; resume then gives it a new secret" },
    { 0 },
};

static int read_reboots(const struct call *call, unsigned *ret, struct error *error)
{
    const char *text = call_option(call, "reboots");
    size_t length = text ? strlen(text) : 0;

    *ret = 1;
    if (!text)
        return 0;
    if (length > 0 && length <= 2 && strspn(text, "0123456789") == length)
        *ret = (unsigned)strtoul(text, NULL, 10);
    else
        *ret = 0;
    if (*ret >= 1 && *ret <= SUSPEND_MAX_REBOOTS)
        return 0;
    return error_set(error, ERROR_USAGE, "--reboots: \"%s\" is not a number from 1 to %d", text, SUSPEND_MAX_REBOOTS);
}

/* "90m", "2h", "1h30m": each unit once at most, the larger one first. */
static bool parse_duration(const char *text, uint64_t *ret_ms)
{
    static const struct {
        char letter;
        uint64_t ms;
    } units[] = { { 'd', 86400000 }, { 'h', 3600000 }, { 'm', 60000 }, { 's', 1000 } };
    size_t unit = 0;

    *ret_ms = 0;
    for (; *text; text++) {
        uint64_t number = 0;
        size_t digits = 0;

        for (; isdigit((unsigned char)*text) && digits < 7; digits++)
            number = number * 10 + (uint64_t)(*text++ - '0');
        while (unit < array_size(units) && units[unit].letter != *text)
            unit++;
        if (!digits || unit == array_size(units))
            return false;
        *ret_ms += number * units[unit++].ms;
    }
    return *ret_ms > 0;
}

static int read_duration(const struct call *call, uint64_t *ret_ms, struct error *error)
{
    const char *text = call_option(call, "for");

    *ret_ms = 0;
    if (!text || (parse_duration(text, ret_ms) && *ret_ms >= SUSPEND_MIN_MS && *ret_ms <= SUSPEND_MAX_MS))
        return 0;
    return error_set(error, ERROR_USAGE,
                     "--for: \"%s\" is not a time from one minute to 30 days, as in 90m, 2h, 1h30m or 1d", text);
}

static int read_request(const struct call *call, struct suspend_request *ret, struct error *error)
{
    bool update = call_flag(call, "update"), firmware = call_flag(call, "firmware");
    int r = read_reboots(call, &ret->reboots, error);

    r = r ?: read_duration(call, &ret->duration_ms, error);
    if (!r && update && firmware)
        r = error_set(error, ERROR_USAGE, "--update and --firmware exclude each other");
    ret->then_reseal = update || firmware || call_flag(call, "then-reseal");
    ret->keep = update;
    ret->spare = firmware ? SUSPEND_SPARE_RESETS : 0;
    ret->purpose = firmware ? SUSPEND_FIRMWARE : update ? SUSPEND_UPDATE : SUSPEND_BY_HAND;
    ret->allow_without_pin = call_flag(call, "allow-no-pin");
    return r;
}

static int print_result(const struct call *call, const struct suspend_result *result, struct error *error)
{
    cleanup(json_free) struct json_object *object = NULL;
    int r;

    if (!call_flag(call, "json")) {
        if (!call_flag(call, "quiet"))
            suspend_print_line(result);
        return 0;
    }
    object = json_object_new_object();
    r = object ? suspension_add_json(object, &result->suspension, &result->now, error) : error_no_memory(error);
    r = r ?: json_add(object, "kept", json_object_new_boolean(result->kept), error);
    r = r ?: json_add(object, "volumes", json_object_new_int64((int64_t)result->volumes), error);
    return r ?: print_json(object, error);
}

static int run(struct call *call, struct error *error)
{
    cleanup(tpm_close) struct tpm *tpm = NULL;
    struct suspend_request request = {
        .state_folder = call_state_folder(call),
        .report_path = call_report(call),
    };
    struct suspend_result result;
    int r = read_request(call, &request, error);

    r = r ?: call_open_tpm(call, &tpm, error);
    request.tpm = tpm;
    r = r ?: suspend(&request, &result, error);
    return r ? error_prefix(error, "suspend") : print_result(call, &result, error);
}

const struct verb verb_suspend = {
    .name = "suspend",
    .arguments = "",
    .summary = "let the next boots through whatever they measure; the PIN is asked for as always",
    .options = options,
    .needs_root = true,
    .run = run,
};
