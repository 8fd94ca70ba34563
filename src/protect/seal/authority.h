/*
 * The authority: a P-256 private key in the state folder, on the encrypted root. It signs one form of request (see
 * base/authority.h) and refuses anything else; it is used for nothing else.
 */
#pragma once

#include "base/authority.h"

struct authority;

/* Reads FOLDER/authority.pem, or makes and stores it (0600) first when `create` is set. */
int authority_open(const char *folder, bool create, struct authority **ret, struct error *error);
void authority_close(struct authority **authority);

/* What a TPM session needs of it; borrows the authority. */
struct authority_signer authority_signer(struct authority *authority);
