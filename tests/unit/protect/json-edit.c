#include "json-edit.h"

#include "base/cleanup.h"
#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct json_object *child(struct json_object *parent, const char *name)
{
    if (json_object_is_type(parent, json_type_array))
        return json_object_array_get_idx(parent, (size_t)atoi(name));
    return json_object_object_get(parent, name);
}

static void put(struct json_object *parent, const char *name, const char *json)
{
    struct json_object *value = json ? json_tokener_parse(json) : NULL;

    assert_true(!json || value || strcmp(json, "null") == 0);
    if (json_object_is_type(parent, json_type_array))
        json_object_array_put_idx(parent, (size_t)atoi(name), value);
    else if (json)
        json_object_object_add(parent, name, value);
    else
        json_object_object_del(parent, name);
}

void json_edit(const char *path, const char *member, const char *json)
{
    cleanup(json_free) struct json_object *document = json_object_from_file(path);
    struct json_object *parent = document;
    struct error error;
    const char *slash;

    for (; (slash = strchr(member, '/')); member = slash + 1) {
        char name[64];

        snprintf(name, sizeof(name), "%.*s", (int)(slash - member), member);
        parent = child(parent, name);
    }
    assert_non_null(parent);
    put(parent, member, json);
    assert_int_equal(json_write(path, document, 0600, &error), 0);
}
