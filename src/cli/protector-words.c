#include "cli/protector-words.h"

#include <stdio.h>

void protector_place(const struct protector *protector, char ret[PROTECTOR_PLACE_TEXT])
{
    if (protector->payload == PAYLOAD_KEYSLOT)
        snprintf(ret, PROTECTOR_PLACE_TEXT, "keyslot %d", protector->keyslot);
    else
        snprintf(ret, PROTECTOR_PLACE_TEXT, "%s", protector_payload_name(protector->payload));
}

int protector_add_keyslot(struct json_object *object, const struct protector *protector, struct error *error)
{
    if (protector->keyslot >= 0)
        return json_add(object, "keyslot", json_object_new_int(protector->keyslot), error);
    return json_object_object_add(object, "keyslot", NULL) < 0 ? error_no_memory(error) : 0;
}
