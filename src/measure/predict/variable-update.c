#include "measure/predict/variable-update.h"

#include "base/cleanup.h"
#include "base/cursor.h"
#include "measure/signature-list.h"
#include "measure/text.h"

#include <string.h>

#define EFI_TIME_BYTES 16
#define CERTIFICATE_REVISION 0x0200
#define CERTIFICATE_UEFI_GUID 0x0ef1 /* WIN_CERT_TYPE_EFI_GUID */

/* UEFI 2.10, 8.2: non-volatile, of boot services and of the running system, with a time-based signature */
#define ATTRIBUTES 0x27
#define ATTRIBUTE_APPEND 0x40

static const uint8_t pkcs7_type[GUID_BYTES] = { 0x9d, 0xd2, 0xaf, 0x4a, 0xdf, 0x68, 0xee, 0x49,
                                                0x8a, 0xa9, 0x34, 0x7d, 0x37, 0x56, 0x65, 0xa7 };

/* EFI_VARIABLE_AUTHENTICATION_2: what is behind it is the new contents. */
static bool skip_authentication(struct cursor *update)
{
    struct cursor start, certificate;
    struct span type;
    uint32_t length;
    uint16_t revision, kind;

    if (!cursor_skip(update, EFI_TIME_BYTES))
        return false;
    start = *update;
    if (!cursor_u32(&start, &length) || !cursor_cut(update, length, &certificate) || !cursor_skip(&certificate, 4))
        return false;
    return cursor_u16(&certificate, &revision) && revision == CERTIFICATE_REVISION && cursor_u16(&certificate, &kind) &&
           kind == CERTIFICATE_UEFI_GUID && cursor_span(&certificate, GUID_BYTES, &type) &&
           memcmp(type.bytes, pkcs7_type, GUID_BYTES) == 0;
}

/* The same behind the attributes that efivarfs takes. No bytes are both: where the one has its certificate's type, the
 * other has a part of it. */
static bool skip_attributes(struct cursor *update, uint32_t *ret)
{
    struct cursor start = *update;

    return cursor_u32(&start, ret) && (*ret & ~(uint32_t)ATTRIBUTE_APPEND) == ATTRIBUTES &&
           skip_authentication(&start) && cursor_skip(update, sizeof(*ret));
}

/* Leads to the update's lists. */
static int skip_headers(struct cursor *update, const char *name, bool append, struct error *error)
{
    uint32_t attributes;

    if (skip_attributes(update, &attributes) && append != !!(attributes & ATTRIBUTE_APPEND))
        return error_set(error, ERROR_METADATA, "by its attributes, this update of \"%s\" %s", name,
                         append ? "takes the variable's place" : "is added to the variable");
    if (!skip_authentication(update))
        return error_set(error, ERROR_METADATA, "this is no signed update of a firmware variable");
    return 0;
}

/* The lists that the update holds. */
static int parse(const char *name, struct span update, bool append, struct span *ret, struct error *error)
{
    struct cursor cursor = cursor_over(update);
    int r;

    if (update.size > VARIABLE_UPDATE_MAX_BYTES)
        return error_set(error, ERROR_METADATA, "an update of a firmware variable has %d bytes at most",
                         VARIABLE_UPDATE_MAX_BYTES);
    r = skip_headers(&cursor, name, append, error);
    if (r)
        return r;
    *ret = cursor_rest(&cursor);
    if (!signature_lists_are_good(*ret))
        return error_set(error, ERROR_METADATA, "the update of \"%s\" holds no lists of signatures", name);
    return 0;
}

int variable_update_check(const char *name, struct span update, bool append, struct error *error)
{
    struct span ignored;

    return parse(name, update, append, &ignored, error);
}

/* True when the lists have the same signature, of the same type and owner. */
static bool has(struct span lists, const struct signature_walk *wanted, struct span signature)
{
    struct signature_walk walk = { .lists = lists };
    struct span other;

    while (signature_next(&walk, &other))
        if (other.size == signature.size && memcmp(walk.type, wanted->type, GUID_BYTES) == 0 &&
            memcmp(other.bytes, signature.bytes, other.size) == 0)
            return true;
    return false;
}

static void put_u32(uint8_t *bytes, size_t number)
{
    for (size_t i = 0; i < 4; i++)
        bytes[i] = (uint8_t)(number >> (8 * i));
}

/* Appends one list (its first bytes, up to the signatures, and those signatures that `old` lacks). Returns the bytes
 * that were written, 0 when it lacks none. */
static size_t append_list(struct span old, struct span header, struct signature_walk *walk, uint8_t *ret)
{
    struct cursor signatures = cursor_over(walk->signatures);
    size_t size = header.size;
    struct span signature;

    while (cursor_span(&signatures, walk->signature_size, &signature)) {
        if (has(old, walk, signature))
            continue;
        memcpy(ret + size, signature.bytes, signature.size);
        size += signature.size;
    }
    if (size == header.size)
        return 0;
    memcpy(ret, header.bytes, header.size);
    put_u32(ret + GUID_BYTES, size);
    return size;
}

/* The lists of `update` one by one behind what is in `ret`, which has room for all. */
static size_t append_lists(struct span old, struct span update, uint8_t *ret)
{
    struct signature_walk walk = { .lists = update };
    const uint8_t *list = update.bytes;
    struct span first;
    size_t size = 0;

    while (signature_next(&walk, &first)) {
        struct signature_walk whole = walk;

        whole.signatures = (struct span){ first.bytes, first.size + walk.signatures.size };
        list = walk.type;
        size +=
            append_list(old, (struct span){ list, (size_t)((const uint8_t *)first.bytes - list) }, &whole, ret + size);
        walk.signatures.size = 0; /* on to the next list */
    }
    return size;
}

int variable_update_apply(const struct firmware_variable *before, struct span update, bool append,
                          struct firmware_variable *ret, struct error *error)
{
    struct span old = { before->data, append ? before->size : 0 }, new = { 0 };
    int r = parse(before->name, update, append, &new, error);

    *ret = (struct firmware_variable){ .attributes = before->attributes };
    if (r)
        return r;
    if (!signature_lists_are_good(old))
        return error_set(error, ERROR_METADATA, "the firmware variable \"%s\" holds no lists of signatures",
                         before->name);
    memcpy(ret->vendor, before->vendor, GUID_BYTES);
    ret->name = strdup(before->name);
    ret->data = malloc(old.size + new.size + 1);
    if (!ret->name || !ret->data) {
        firmware_variable_free(ret);
        return error_no_memory(error);
    }
    if (old.size)
        memcpy(ret->data, old.bytes, old.size);
    ret->size = old.size;
    if (append) {
        ret->size += append_lists(old, new, ret->data + old.size);
    } else if (new.size) {
        memcpy(ret->data, new.bytes, new.size);
        ret->size = new.size;
    }
    return 0;
}
