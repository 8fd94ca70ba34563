/*
 * tpm2-tss makes a handle of its own from the form in which Esys_TR_Serialize() keeps one on disk, and sends nothing
 * for it. That form is written here from the pinned bytes:
 *
 *   TPM handle (4 bytes), Name (TPM2B), type (4 bytes: 0 nothing more, 1 key, 2 NV index), public area (TPM2B)
 *
 * all big-endian. It is persistent, so a later tpm2-tss has to read it too.
 */
#include "tpm/internal.h"

#include <string.h>

enum resource_type { RESOURCE_BARE = 0, RESOURCE_KEY = 1, RESOURCE_INDEX = 2 };

struct form {
    uint8_t bytes[sizeof(uint32_t) * 2 + sizeof(uint16_t) * 2 + NAME_BYTES + ENTITY_PUBLIC_MAX];
    size_t size;
};

static void put_bytes(struct form *form, const void *bytes, size_t size)
{
    memcpy(form->bytes + form->size, bytes, size);
    form->size += size;
}

static void put_sized(struct form *form, const void *bytes, size_t size)
{
    put_bytes(form, (uint8_t[]){ (uint8_t)(size >> 8), (uint8_t)size }, 2);
    put_bytes(form, bytes, size);
}

static void put_number(struct form *form, uint32_t n)
{
    put_bytes(form, (uint8_t[]){ (uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n }, 4);
}

static int read_form(struct tpm *tpm, const struct form *form, ESYS_TR *ret, struct error *error)
{
    return tpm_outcome(Esys_TR_Deserialize(tpm->esys, form->bytes, form->size, ret), 0, "Esys_TR_Deserialize", error);
}

static int reference_entity(struct tpm *tpm, const struct entity *entity, enum resource_type type, ESYS_TR *ret,
                            struct error *error)
{
    struct form form = { .size = 0 };
    int r = entity_check(entity, error);

    if (r)
        return r;
    put_number(&form, entity->handle);
    put_sized(&form, entity->name.bytes, sizeof(entity->name.bytes));
    put_number(&form, type);
    put_sized(&form, entity->public, entity->public_size);
    return read_form(tpm, &form, ret, error);
}

int tpm_reference_key(struct tpm *tpm, const struct entity *entity, ESYS_TR *ret, struct error *error)
{
    return reference_entity(tpm, entity, RESOURCE_KEY, ret, error);
}

int tpm_reference_index(struct tpm *tpm, const struct entity *entity, ESYS_TR *ret, struct error *error)
{
    return reference_entity(tpm, entity, RESOURCE_INDEX, ret, error);
}

int tpm_reference_handle(struct tpm *tpm, TPM2_HANDLE handle, ESYS_TR *ret, struct error *error)
{
    struct form form = { .size = 0 };

    put_number(&form, handle);
    put_sized(&form, "", 0);
    put_number(&form, RESOURCE_BARE);
    return read_form(tpm, &form, ret, error);
}

void tpm_reference_close(struct tpm *tpm, ESYS_TR *reference)
{
    if (*reference)
        (void)Esys_TR_Close(tpm->esys, reference);
    *reference = 0;
}
