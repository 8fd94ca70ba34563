#include "cli/protector-words.h"

#include <stdio.h>

void protector_place(const struct protector *protector, char ret[PROTECTOR_PLACE_TEXT])
{
    if (protector->payload == PAYLOAD_KEYSLOT)
        snprintf(ret, PROTECTOR_PLACE_TEXT, "keyslot %d", protector->keyslot);
    else
        snprintf(ret, PROTECTOR_PLACE_TEXT, "%s", protector_payload_name(protector->payload));
}

void protector_operator(const struct protector *protector, char ret[PROTECTOR_OPERATOR_TEXT])
{
    ret[0] = '\0';
    if (protector->kind == PROTECTOR_TPM2_PIN)
        snprintf(ret, PROTECTOR_OPERATOR_TEXT, "operator %u", protector->operator_number);
}

int protector_add_operator(struct json_object *object, const struct protector *protector, struct error *error)
{
    if (protector->kind == PROTECTOR_TPM2_PIN)
        return json_add(object, "operator", json_object_new_int((int)protector->operator_number), error);
    return json_object_object_add(object, "operator", NULL) < 0 ? error_no_memory(error) : 0;
}

int protector_add_keyslot(struct json_object *object, const struct protector *protector, struct error *error)
{
    if (protector->keyslot >= 0)
        return json_add(object, "keyslot", json_object_new_int(protector->keyslot), error);
    return json_object_object_add(object, "keyslot", NULL) < 0 ? error_no_memory(error) : 0;
}
