/*
 * For LD_PRELOAD: the program stops (SIGSTOP) wherever a secret is needed, or was, so that a test can look into its
 * memory. STOP_AT has the points, with a comma behind each:
 *
 *   stretching, stretched   before and after Argon2id
 *   unsealed                the TPM has answered TPM2_Unseal
 *   opening, opened         before and after a keyslot is opened
 *   adding                  before a keyslot is made
 *   capping                 before the cap, bootseal-unlock's last act
 *   exit                    the program is over
 *
 * The point is the process's name meanwhile.
 */
#include <argon2.h>
#include <dlfcn.h>
#include <libcryptsetup.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <tss2/tss2_esys.h>

#define EXPORT __attribute__((visibility("default")))

typedef int (*argon2_function)(uint32_t, uint32_t, uint32_t, const void *, size_t, const void *, size_t, void *,
                               size_t);
typedef int (*get_function)(struct crypt_device *, int, char *, size_t *, const char *, size_t);
typedef int (*add_function)(struct crypt_device *, int, const char *, size_t, const char *, size_t);
typedef TSS2_RC (*unseal_function)(ESYS_CONTEXT *, ESYS_TR, ESYS_TR, ESYS_TR, ESYS_TR, TPM2B_SENSITIVE_DATA **);

typedef TSS2_RC (*event_function)(ESYS_CONTEXT *, ESYS_TR, ESYS_TR, ESYS_TR, ESYS_TR, const TPM2B_EVENT *,
                                  TPML_DIGEST_VALUES **);

static const char *points;

/* Before main(), which drops the variables that the program does not know. */
__attribute__((constructor)) static void read_environment(void)
{
    points = getenv("STOP_AT");
}

static void stop_at(const char *name)
{
    char wanted[16];

    (void)snprintf(wanted, sizeof(wanted), "%s,", name);
    if (!points || !strstr(points, wanted))
        return;
    (void)prctl(PR_SET_NAME, name);
    (void)raise(SIGSTOP);
}

__attribute__((destructor)) static void at_exit(void)
{
    stop_at("exit");
}

EXPORT int argon2id_hash_raw(const uint32_t iterations, const uint32_t memory, const uint32_t lanes,
                             const void *password, const size_t size, const void *salt, const size_t salt_size,
                             void *hash, const size_t hash_size)
{
    argon2_function next = (argon2_function)dlsym(RTLD_NEXT, "argon2id_hash_raw");
    int code;

    stop_at("stretching");
    code = next(iterations, memory, lanes, password, size, salt, salt_size, hash, hash_size);
    stop_at("stretched");
    return code;
}

EXPORT TSS2_RC Esys_Unseal(ESYS_CONTEXT *context, ESYS_TR object, ESYS_TR session1, ESYS_TR session2, ESYS_TR session3,
                           TPM2B_SENSITIVE_DATA **data)
{
    unseal_function next = (unseal_function)dlsym(RTLD_NEXT, "Esys_Unseal");
    TSS2_RC rc = next(context, object, session1, session2, session3, data);

    stop_at("unsealed");
    return rc;
}

EXPORT TSS2_RC Esys_PCR_Event(ESYS_CONTEXT *context, ESYS_TR pcr, ESYS_TR session1, ESYS_TR session2, ESYS_TR session3,
                              const TPM2B_EVENT *data, TPML_DIGEST_VALUES **digests)
{
    event_function next = (event_function)dlsym(RTLD_NEXT, "Esys_PCR_Event");

    stop_at("capping");
    return next(context, pcr, session1, session2, session3, data, digests);
}

EXPORT int crypt_volume_key_get(struct crypt_device *device, int keyslot, char *key, size_t *size,
                                const char *passphrase, size_t passphrase_size)
{
    get_function next = (get_function)dlsym(RTLD_NEXT, "crypt_volume_key_get");
    int code;

    stop_at("opening");
    code = next(device, keyslot, key, size, passphrase, passphrase_size);
    stop_at("opened");
    return code;
}

EXPORT int crypt_keyslot_add_by_volume_key(struct crypt_device *device, int keyslot, const char *key, size_t size,
                                           const char *passphrase, size_t passphrase_size)
{
    add_function next = (add_function)dlsym(RTLD_NEXT, "crypt_keyslot_add_by_volume_key");

    stop_at("adding");
    return next(device, keyslot, key, size, passphrase, passphrase_size);
}
