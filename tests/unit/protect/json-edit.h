/* An editor's hand on a JSON file: one member is set or taken away, the rest stays. */
#pragma once

/* Sets the member at "volumes/0/name" to the JSON text, or removes it when that is NULL. The mode becomes 0600. */
void json_edit(const char *path, const char *member, const char *json);
