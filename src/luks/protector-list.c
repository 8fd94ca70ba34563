#include "luks/token.h"

#include "base/cleanup.h"

static int read_into(struct volume *volume, int number, struct protector *ret, struct error *error)
{
    cleanup(json_free) struct json_object *token = NULL;
    struct json_view view;
    int r = volume_token_read(volume, number, &token, &view, error);

    if (r)
        return r;
    r = protector_from_json(&view, number, ret, error);
    return r ? error_prefix(error, "\"%s\"", volume_path(volume)) : 0;
}

int protector_list_read(struct volume *volume, const char *type, struct protector_list *ret, struct error *error)
{
    cleanup(protector_list_free) struct protector_list list = { 0 };
    struct token_list tokens;
    int r = volume_tokens(volume, type, &tokens, error);

    if (r)
        return r;
    list.items = calloc(VOLUME_MAX_TOKENS, sizeof(*list.items));
    if (!list.items)
        return error_no_memory(error);
    for (; list.count < tokens.count; list.count++) {
        r = read_into(volume, tokens.numbers[list.count], &list.items[list.count], error);
        if (r)
            return r;
    }
    *ret = list;
    list = (struct protector_list){ 0 };
    return 0;
}

void protector_list_free(struct protector_list *list)
{
    free(list->items);
    *list = (struct protector_list){ 0 };
}
