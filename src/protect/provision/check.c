/* What is looked at before anything is made. */
#include "protect/provision/provision.h"

#include "base/blockdev.h"
#include "base/file.h"

int provision_check_place(const char *state_folder, bool allow_unencrypted, struct error *error)
{
    const char *folder = state_folder ? state_folder : STATE_FOLDER;
    struct blockdev_list devices;
    bool encrypted = false;
    int r = file_make_folder(folder, 0700, error);

    if (!r && !allow_unencrypted)
        r = blockdev_of_path(BLOCKDEV_SYSFS, folder, &devices, error);
    if (!r && !allow_unencrypted)
        r = blockdev_is_encrypted(BLOCKDEV_SYSFS, &devices, &encrypted, error);
    if (r || allow_unencrypted || encrypted)
        return r;
    error_set(error, ERROR_REFUSED,
              "the state folder \"%s\" would lie on a file system outside LUKS: whoever takes the "
              "disk gets the authority's key",
              folder);
    return error_remedy(error, "run this on the machine whose root is encrypted, or choose another --state-dir; "
                               "--allow-unencrypted-state is for tests and images");
}

int provision_check_tpm(struct tpm *tpm, struct error *error)
{
    struct tpm_identity identity;
    int r = tpm_identity_read(tpm, &identity, error);

    if (r || identity.has_policy_authorize_nv)
        return r;
    error_set(error, ERROR_TPM,
              "this TPM (\"%s\", library revision %u.%02u) has no TPM2_PolicyAuthorizeNV, so an "
              "approval could never be changed",
              identity.manufacturer, identity.revision / 100, identity.revision % 100);
    return error_remedy(error, "update the TPM's firmware, or use a TPM of library revision 1.38 or later");
}
