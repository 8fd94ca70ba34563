#include "measure/signature-list.h"

#include "base/cursor.h"
#include "measure/text.h"

#include <openssl/x509.h>
#include <string.h>

#define EFI_TIME_BYTES 16
#define CERTIFICATE_MAX_BYTES 65536 /* RSA-4096 with all extensions takes some 3000 */

static const uint8_t x509_type[GUID_BYTES] = { 0xa1, 0x59, 0xc0, 0xa5, 0xe4, 0x94, 0xa7, 0x4a,
                                               0x87, 0xb5, 0xab, 0x15, 0x5c, 0x2b, 0xf0, 0x72 };

static const uint8_t sha256_type[GUID_BYTES] = { 0x26, 0x16, 0xc4, 0xc1, 0x4c, 0x50, 0x92, 0x40,
                                                 0xac, 0xa9, 0x41, 0xf9, 0x36, 0x93, 0x43, 0x28 };

static const uint8_t x509_sha256_type[GUID_BYTES] = { 0x92, 0xa4, 0xd2, 0x3b, 0xc0, 0x96, 0x79, 0x40,
                                                      0xb4, 0x20, 0xfc, 0xf9, 0x8e, 0xf1, 0x03, 0xed };

/* Writes the subject's common name, or its organisation; false when the bytes are no certificate with either. */
static bool put_subject(FILE *stream, struct span der)
{
    const uint8_t *bytes = der.bytes;
    X509 *certificate = NULL;
    X509_NAME *subject;
    char name[256];
    int size;

    if (der.size > 0 && der.size <= CERTIFICATE_MAX_BYTES)
        certificate = d2i_X509(NULL, &bytes, (long)der.size);
    if (!certificate)
        return false;
    subject = X509_get_subject_name(certificate);
    size = X509_NAME_get_text_by_NID(subject, NID_commonName, name, sizeof(name));
    if (size <= 0)
        size = X509_NAME_get_text_by_NID(subject, NID_organizationName, name, sizeof(name));
    X509_free(certificate);
    if (size <= 0)
        return false;
    fputc('"', stream);
    text_put_utf8(stream, (struct span){ name, strnlen(name, sizeof(name)) });
    fputc('"', stream);
    return true;
}

void signature_put(FILE *stream, struct span signature)
{
    struct cursor cursor = cursor_over(signature);
    struct span owner, content;

    if (!cursor_span(&cursor, GUID_BYTES, &owner)) {
        fprintf(stream, "%zu bytes", signature.size);
        return;
    }
    content = cursor_rest(&cursor);
    if (content.size == DIGEST_BYTES)
        fputs("a program's hash", stream);
    else if (!put_subject(stream, content))
        fprintf(stream, "%zu bytes", content.size);
}

/* Takes the next EFI_SIGNATURE_LIST. */
static bool next_list(struct signature_walk *walk)
{
    struct cursor lists = cursor_over(walk->lists), start = lists, list;
    struct span type;
    uint32_t list_size, header_size;

    if (!cursor_span(&start, GUID_BYTES, &type) || !cursor_u32(&start, &list_size) ||
        !cursor_cut(&lists, list_size, &list) || !cursor_skip(&list, GUID_BYTES + 4))
        return false;
    if (!cursor_u32(&list, &header_size) || !cursor_u32(&list, &walk->signature_size) ||
        !cursor_skip(&list, header_size))
        return false;
    if (walk->signature_size <= GUID_BYTES || cursor_left(&list) % walk->signature_size != 0)
        return false;
    walk->type = type.bytes;
    walk->signatures = cursor_rest(&list);
    walk->lists = cursor_rest(&lists);
    return true;
}

bool signature_next(struct signature_walk *walk, struct span *ret)
{
    struct cursor signatures;

    while (!walk->damaged && walk->signatures.size == 0 && walk->lists.size > 0)
        walk->damaged = !next_list(walk);
    if (walk->damaged || walk->signatures.size == 0)
        return false;
    signatures = cursor_over(walk->signatures);
    if (!cursor_span(&signatures, walk->signature_size, ret))
        return false;
    walk->signatures = cursor_rest(&signatures);
    return true;
}

bool signature_lists_are_good(struct span lists)
{
    struct signature_walk walk = { .lists = lists };
    struct span signature;

    while (signature_next(&walk, &signature))
        ;
    return !walk.damaged;
}

enum signature_type signature_walk_type(const struct signature_walk *walk)
{
    size_t content = walk->signature_size - GUID_BYTES;

    if (memcmp(walk->type, x509_type, GUID_BYTES) == 0)
        return SIGNATURE_X509;
    if (memcmp(walk->type, sha256_type, GUID_BYTES) == 0 && content == DIGEST_BYTES)
        return SIGNATURE_SHA256;
    if (memcmp(walk->type, x509_sha256_type, GUID_BYTES) == 0 && content == DIGEST_BYTES + EFI_TIME_BYTES)
        return SIGNATURE_X509_SHA256;
    return SIGNATURE_OTHER;
}

/* Counts the entries, and writes the first names; false for what is no chain of lists. */
static bool put_names(FILE *names, struct span lists, size_t *certificates, size_t *others)
{
    struct signature_walk walk = { .lists = lists };
    struct span signature;

    while (signature_next(&walk, &signature)) {
        if (signature_walk_type(&walk) != SIGNATURE_X509) {
            ++*others;
            continue;
        }
        if (*certificates < SIGNATURE_LISTS_NAMED) {
            fputs(*certificates ? ", " : " (", names);
            signature_put(names, signature);
        }
        ++*certificates;
    }
    return !walk.damaged;
}

void signature_lists_put(FILE *stream, struct span lists)
{
    size_t certificates = 0, others = 0, size = 0;
    char *names = NULL;
    FILE *name_stream = open_memstream(&names, &size);
    bool good = name_stream && put_names(name_stream, lists, &certificates, &others);

    if (name_stream && fclose(name_stream) != 0)
        good = false;
    if (!good)
        fprintf(stream, "damaged (%zu bytes)", lists.size);
    else if (certificates + others == 0)
        fputs("empty", stream);
    if (good && certificates)
        fprintf(stream, "%zu certificate%s%s%s)", certificates, certificates == 1 ? "" : "s", names,
                certificates > SIGNATURE_LISTS_NAMED ? ", …" : "");
    if (good && others)
        fprintf(stream, "%s%zu hash%s", certificates ? ", " : "", others, others == 1 ? "" : "es");
    free(names);
}
