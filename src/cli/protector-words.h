/* How a protector's place, and whose PIN it is, are told, to people and in JSON. */
#pragma once

#include "protect/unlock/payload.h"

#define PROTECTOR_PLACE_TEXT 24
#define PROTECTOR_OPERATOR_TEXT 24

/* "keyslot 3", or "volume-key" for a protector that uses none. */
void protector_place(const struct protector *protector, char ret[PROTECTOR_PLACE_TEXT]);

/* "operator 2"; empty without a PIN. */
void protector_operator(const struct protector *protector, char ret[PROTECTOR_OPERATOR_TEXT]);

/* "operator": the number, or null. */
int protector_add_operator(struct json_object *object, const struct protector *protector, struct error *error);

/* "keyslot": its number, or null. */
int protector_add_keyslot(struct json_object *object, const struct protector *protector, struct error *error);
