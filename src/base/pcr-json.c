#include "base/pcr-json.h"

#include <stdio.h>

#define NUMBER_TEXT 12

int pcr_values_to_json(struct json_object *object, const char *key, const struct pcr_values *values,
                       struct error *error)
{
    struct json_object *inner = json_object_new_object();
    char number[NUMBER_TEXT];
    int r = json_add(object, key, inner, error);

    for (unsigned i = 0; !r && i < PCR_COUNT; i++) {
        if (!(values->mask & (1u << i)))
            continue;
        snprintf(number, sizeof(number), "%u", i);
        r = json_add(inner, number, json_new_hex(values->value[i], hash_size(values->bank)), error);
    }
    return r;
}

int pcr_values_from_json(const struct json_view *view, const char *key, enum hash_algorithm bank,
                         struct pcr_values *ret, struct error *error)
{
    struct json_view inner;
    char number[NUMBER_TEXT];
    int r = json_get_object(view, key, &inner, error);

    *ret = (struct pcr_values){ .bank = bank };
    for (unsigned i = 0; !r && i < PCR_COUNT; i++) {
        snprintf(number, sizeof(number), "%u", i);
        if (!json_has(&inner, number))
            continue;
        r = json_get_hex(&inner, number, ret->value[i], hash_size(bank), error);
        ret->mask |= 1u << i;
    }
    return r;
}
