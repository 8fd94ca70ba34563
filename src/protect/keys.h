/*
 * From the PIN and the sealed secret to the keyslot's passphrase:
 *
 *   PIN --Argon2id(salt, cost)--> A (32 bytes) || B (32 bytes)
 *   A is the sealed object's authValue; B never leaves this process
 *   K = HKDF-SHA256(ikm = S || B, salt = the protector's UUID, info = "bootseal v1 keyslot")
 *   passphrase = base64(K)
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

/* Argon2id; one run, memory_kib of memory. Either result may be freed by secret_free(). */
int keys_stretch(const struct secret *pin, const struct kdf_parameters *kdf, struct secret *ret_auth,
                 struct secret *ret_mix, struct error *error);

/* The passphrase of the protector's keyslot; `mix` is NULL or empty without a PIN, `id` the protector's UUID as text.
 */
int keys_passphrase(const struct secret *sealed, const struct secret *mix, const char *id, struct secret *ret,
                    struct error *error);

/*
 * Chooses a cost for this machine: the rules' memory but at most a quarter of RAM, min(cores, 4) lanes, and as many
 * iterations as take the rules' time, measured. Never below the rules' floor. The salt is fresh.
 */
int keys_calibrate(const struct kdf_rules *rules, struct kdf_parameters *ret, struct error *error);
