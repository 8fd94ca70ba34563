#include "protect/unlock/unseal.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "policy/digest.h"
#include "protect/unlock/cap.h"
#include "protect/unlock/lockout-end.h"

#define PCR_CHANGED_PATIENCE_MS 10000
#define PCR_CHANGED_PAUSE_MS 20

static bool has_pin(const struct unseal *unseal)
{
    return unseal->request.protector->kind == PROTECTOR_TPM2_PIN;
}

static int assert_or_path(const struct tpm_handle *session, const struct or_path *path, struct error *error)
{
    int r = 0;

    for (size_t i = 0; !r && i < path->count; i++)
        r = tpm_policy_or(session, path->steps[i].list, path->steps[i].count, error);
    return r;
}

/* What the TPM holds a suspension to, in the order in which its digest has it. */
static int assert_limits(const struct tpm_handle *session, const struct suspension *suspension, struct error *error)
{
    int r =
        tpm_policy_counter_timer(session, suspension->after, 4, POLICY_TIME_RESET_COUNT, TPM_COMPARE_GREATER, error);

    r = r
            ?: tpm_policy_counter_timer(session, suspension->until, 4, POLICY_TIME_RESET_COUNT,
                                        TPM_COMPARE_LESS_OR_EQUAL, error);
    r = r ?: tpm_policy_counter_timer(session, 0, 4, POLICY_TIME_RESTART_COUNT, TPM_COMPARE_EQUAL, error);
    if (!r && suspension->has_clock)
        r = tpm_policy_counter_timer(session, suspension->clock_ms, 8, POLICY_TIME_CLOCK, TPM_COMPARE_LESS_OR_EQUAL,
                                     error);
    return r;
}

static int assert_signed(const struct unseal *unseal, const struct digest *cp_hash, struct error *error)
{
    return tpm_policy_signed(&unseal->session, unseal->request.authority, AUTHORITY_ADMIN, cp_hash, error);
}

/*
 * The TPM knows which branch holds, we need not: PolicyPCR folds the values as they are, and one PolicyOR is enough for
 * up to eight branches. With more, the groups are tried in turn; a PolicyOR that fails leaves the session as it was.
 */
static int assert_any_branch(const struct unseal *unseal, const struct approval *list, size_t object,
                             struct approval_path *ret, struct error *error)
{
    int r = 0;

    if (list->branch_count == 0)
        return error_set(error, ERROR_METADATA, "the header's list of approved states is empty: the list was changed");
    for (size_t first = 0; first < list->branch_count; first += OR_GROUP) {
        r = approval_path(list, first, object, ret, error);
        if (r)
            return r;
        r = assert_or_path(&unseal->session, &ret->branches, error);
        if (!r || error->tpm_code != TPM_CODE_OR_MISMATCH)
            return r;
    }
    return r;
}

static int assert_boot_branch(const struct unseal *unseal, const struct approval *list, size_t object,
                              struct approval_path *ret, struct error *error)
{
    int r = tpm_policy_pcr(&unseal->session, list->bank, list->pcrs, error);

    return r ?: assert_any_branch(unseal, list, object, ret, error);
}

/* unseal->suspension: the cap holds here too. */
static int assert_suspend_branch(const struct unseal *unseal, const struct approval *list, size_t object,
                                 struct approval_path *ret, struct error *error)
{
    int r = tpm_policy_pcr(&unseal->session, list->bank, 1u << list->cap, error);

    r = r ?: assert_limits(&unseal->session, &unseal->suspension, error);
    return r ?: assert_any_branch(unseal, list, object, ret, error);
}

static int assert_authority_branch(const struct unseal *unseal, const struct approval *list, size_t object,
                                   struct approval_path *ret, struct error *error)
{
    int branch = approval_find_branch(list, BRANCH_AUTHORITY);
    int r;

    if (branch < 0)
        return error_set(error, ERROR_METADATA, "the approval has no authority branch");
    r = approval_path(list, (size_t)branch, object, ret, error);
    if (!r)
        r = assert_signed(unseal, &ret->cp_hash, error);
    return r ? r : assert_or_path(&unseal->session, &ret->branches, error);
}

typedef int (*branch_way)(const struct unseal *unseal, const struct approval *list, size_t object,
                          struct approval_path *ret, struct error *error);

/* Steps 3 to 8 with one list, by one kind of its branches. */
static int assert_list_by(struct unseal *unseal, const struct approval *list, branch_way assert_branch,
                          struct error *error)
{
    cleanup(free_ptr) struct approval_path *path = calloc(1, sizeof(*path));
    int object = approval_find_object(list, &unseal->object_name);
    int r;

    if (!path)
        return error_no_memory(error);
    if (object < 0)
        return error_set(error, ERROR_METADATA,
                         "the protector in token %d is not in force: it was removed or replaced, and an old header was "
                         "put back",
                         unseal->request.protector->token);
    tpm_handle_free(&unseal->session);
    r = tpm_session_start(unseal->request.tpm, TPM_SESSION_POLICY, &unseal->session, error);
    if (!r)
        r = assert_branch(unseal, list, (size_t)object, path, error);
    if (!r)
        r = tpm_policy_cp_hash(&unseal->session, &path->cp_hash, error);
    if (!r)
        r = assert_or_path(&unseal->session, &path->objects, error);
    if (!r)
        r = tpm_policy_authorize_nv(&unseal->session, error);
    if (!r && has_pin(unseal))
        r = tpm_policy_auth_value(&unseal->session, error);
    return r;
}

static bool is_no_branch(int r, const struct error *error)
{
    return r && error->tpm_code == TPM_CODE_OR_MISMATCH;
}

/* A suspension that is over, or has not begun, leaves the boot state as what is in the way. */
static int assert_list(struct unseal *unseal, const struct approval *list, struct error *error)
{
    struct error over;
    int r =
        assert_list_by(unseal, list, unseal->request.authority ? assert_authority_branch : assert_boot_branch, error);

    unseal->suspended = false;
    if (unseal->request.authority || !is_no_branch(r, error) || !suspension_find(list, &unseal->suspension))
        return r;
    r = assert_list_by(unseal, list, assert_suspend_branch, &over);
    unseal->suspended = !r;
    if (r && over.tpm_code != TPM_CODE_POLICY && !is_no_branch(r, &over))
        *error = over;
    return r ? (int)error->kind : 0;
}

/* A list that is not the TPM's own is no failure yet: a change of approval may have been cut half way. */
static bool try_next(const struct unseal *unseal, int r, const struct error *error)
{
    return unseal->request.next &&
           (r == ERROR_METADATA || error->tpm_code == TPM_CODE_OR_MISMATCH || error->tpm_code == TPM_CODE_STALE_LIST);
}

static int assert_policy(struct unseal *unseal, struct error *error)
{
    const struct approval *list = unseal->request.approval;
    int r = assert_list(unseal, list, error);

    if (!r)
        return 0;
    if (try_next(unseal, r, error)) {
        struct error second;
        int s = assert_list(unseal, unseal->request.next, &second);

        if (!s)
            return 0;
        if (second.tpm_code == TPM_CODE_OR_MISMATCH) {
            *error = second;
            list = unseal->request.next;
        }
    }
    if (error->tpm_code == TPM_CODE_OR_MISMATCH && !unseal->request.authority)
        return unseal_explain_mismatch(unseal->request.tpm, list, &unseal->capped, error);
    if (error->tpm_code == TPM_CODE_STALE_LIST) {
        error_set(error, ERROR_METADATA,
                  "the header's list of approved states is not the one that the TPM holds: an old header was put back, "
                  "or the list was changed");
        error->tpm_code = TPM_CODE_STALE_LIST;
        error_remedy(error, "open the volume with its recovery key or passphrase, then run: bootseal reseal --current");
    }
    return (int)error->kind;
}

static int check_lockout(struct unseal *unseal, struct error *error)
{
    int r = tpm_state_read(unseal->request.tpm, &unseal->state, error);

    if (r || !has_pin(unseal) || !unseal->state.in_lockout)
        return r;
    return lockout_refuse(&unseal->state, time(NULL), error);
}

static int load(struct unseal *unseal, struct error *error)
{
    int r = tpm_load(unseal->request.tpm, &unseal->request.protector->sealed, &unseal->object, error);

    if (r && error->tpm_code == TPM_CODE_INTEGRITY) {
        error_set(error, ERROR_TPM, "this TPM did not seal the protector in token %d: another machine's, or cleared",
                  unseal->request.protector->token);
        error_remedy(error, "open the volume with its recovery key or passphrase, then enroll it anew");
    }
    return r;
}

int unseal_prepare(struct unseal *ret, const struct unseal_request *request, struct error *error)
{
    int r;

    *ret = (struct unseal){ .request = *request };
    r = sealed_name(&request->protector->sealed, &ret->object_name, error);
    if (!r)
        r = load(ret, error);
    if (!r)
        r = check_lockout(ret, error);
    if (!r)
        r = assert_policy(ret, error);
    if (r)
        unseal_free(ret);
    return r;
}

/* Unseals once, with Shutdown after a PIN. The sealed data is worth more than a Shutdown that fails. */
static int unseal_once(struct unseal *unseal, const struct secret *auth, struct secret *ret, struct error *error)
{
    struct error ignored;
    int r = tpm_unseal(&unseal->object, &unseal->session, auth, ret, error);

    if (!r)
        tpm_handle_free(&unseal->object);
    if (r && error->tpm_code == TPM_CODE_POLICY_FAIL) {
        error_set(error, ERROR_TPM,
                  "the TPM's approval index is not the one that the protector was sealed to: someone "
                  "deleted it and made another");
        error_remedy(
            error,
            "open the volume with its recovery key or passphrase and run: bootseal reseal --current, which puts the "
            "index back");
    }
    if (auth && error->tpm_code != TPM_CODE_PCR_CHANGED)
        (void)tpm_shutdown(unseal->request.tpm, &ignored);
    return r;
}

int unseal_finish(struct unseal *unseal, const struct secret *auth, struct secret *ret_sealed, struct error *error)
{
    uint64_t until = clock_now_ms() + PCR_CHANGED_PATIENCE_MS;
    int r;

    for (;;) {
        error->tpm_code = 0;
        r = unseal_once(unseal, auth, ret_sealed, error);
        if (!r || error->tpm_code != TPM_CODE_PCR_CHANGED || clock_now_ms() > until)
            return r;
        clock_pause_ms(PCR_CHANGED_PAUSE_MS);
        r = assert_policy(unseal, error);
        if (r)
            return r;
    }
}

void unseal_free(struct unseal *unseal)
{
    tpm_handle_free(&unseal->session);
    tpm_handle_free(&unseal->object);
}
