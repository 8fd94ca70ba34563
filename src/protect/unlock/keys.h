/*
 * From the PIN and the sealed secret to the keyslot's passphrase:
 *
 *   PIN --Argon2id(salt, cost)--> A (32 bytes) || B (32 bytes)
 *   A is the sealed object's authValue; B never leaves this process
 *   K = HKDF-SHA256(ikm = S || B, salt = the protector's UUID, info = "bootseal v1 keyslot")
 *   passphrase = base64(K)
 *
 * or, with the payload volume-key, to the volume key itself, which is what is sealed, and encrypted once more:
 *
 *   sealed = nonce (12 bytes) || AES-256-GCM(HKDF-SHA256(B, the same salt, info = "bootseal v1 volume key"), volume
 * key)
 *
 * Without a PIN, B is empty.
 */
#pragma once

#include "base/secret.h"
#include "luks/token.h"
#include "policy/document.h"

#define KEYS_AUTH_BYTES 32
#define KEYS_MIX_BYTES 32
#define KEYS_SEALED_BYTES 32
#define KEYS_NONCE_BYTES 12
#define KEYS_TAG_BYTES 16
#define KEYS_MAX_VOLUME_KEY_BYTES 64 /* libcryptsetup's largest; 92 bytes are sealed then, of SEALED_DATA_MAX */

/* Argon2id; one run, memory_kib of memory. Either result may be freed by secret_free(). */
int keys_stretch(const struct secret *pin, const struct kdf_parameters *kdf, struct secret *ret_auth,
                 struct secret *ret_mix, struct error *error);

/* The passphrase of the protector's keyslot; `mix` is NULL or empty without a PIN, `id` the protector's UUID as text.
 */
int keys_passphrase(const struct secret *sealed, const struct secret *mix, const char *id, struct secret *ret,
                    struct error *error);

/* What to seal of a volume key, of at most KEYS_MAX_VOLUME_KEY_BYTES: nonce, as many bytes, tag. */
int keys_wrap_volume_key(const struct secret *key, const struct secret *mix, const char *id, struct secret *ret,
                         struct error *error);

/* The reverse. ERROR_METADATA for what was not made with this B and this ID. */
int keys_unwrap_volume_key(const struct secret *sealed, const struct secret *mix, const char *id, struct secret *ret,
                           struct error *error);

/*
 * Chooses a cost for this machine: the rules' memory but at most a quarter of RAM, min(cores, 4) lanes, and as many
 * iterations as take the rules' time, measured. Never below the rules' floor. The salt is fresh.
 */
int keys_calibrate(const struct kdf_rules *rules, struct kdf_parameters *ret, struct error *error);
