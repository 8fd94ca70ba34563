/* How a protector's place is told, to people and in JSON. */
#pragma once

#include "protect/payload.h"

#define PROTECTOR_PLACE_TEXT 24

/* "keyslot 3", or "volume-key" for a protector that uses none. */
void protector_place(const struct protector *protector, char ret[PROTECTOR_PLACE_TEXT]);

/* "keyslot": its number, or null. */
int protector_add_keyslot(struct json_object *object, const struct protector *protector, struct error *error);
