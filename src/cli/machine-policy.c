#include "cli/machine-policy.h"

#include "base/file.h"

int machine_policy_read(const struct call *call, struct policy_document *ret, struct error *error)
{
    const char *name = call_option(call, "policy");

    *ret = policy_document_default();
    if (!name && !file_exists(MACHINE_POLICY))
        return 0;
    return policy_document_read(call_policy_folder(call), name ? name : MACHINE_POLICY, ret, error);
}
