/* Checks of the volumes: headers, keyslots, tokens, and whether the next boot opens them. */
#include "protect/doctor/doctor.h"

#include <stdio.h>
#include <string.h>

#define KEYSLOT_LIST_TEXT 128

static const char *name_of(const struct doctor_volume *volume)
{
    return volume->status->name[0] ? volume->status->name : volume->status->device;
}

/* Runs `each` on every volume of the facts. */
#define for_each_volume(volume_, facts_)                                                                               \
    for (const struct doctor_volume *volume_ = (facts_)->volumes;                                                      \
         volume_ < (facts_)->volumes + (facts_)->volume_count; volume_++)

static void format_keyslots(uint32_t mask, char ret[KEYSLOT_LIST_TEXT])
{
    size_t length = 0;

    ret[0] = '\0';
    for (int i = 0; i < VOLUME_MAX_KEYSLOTS; i++)
        if (mask & (1u << i))
            length += (size_t)snprintf(ret + length, KEYSLOT_LIST_TEXT - length, "%s%d", length ? ", " : "", i);
}

static bool is_readable(const struct doctor_volume *volume)
{
    return volume->status->unlock.kind != ERROR_FAILED && volume->status->unlock.kind != ERROR_NOT_LUKS2;
}

static void unreadable(const struct doctor_facts *facts, const struct doctor_check *check,
                       struct doctor_findings *findings)
{
    for_each_volume(volume, facts) if (!is_readable(volume))
        doctor_find(findings, check, name_of(volume),
                    "attach the disk; if the volume is gone for good: bootseal remove, or take it out of the pins",
                    "%s", volume->status->unlock.text);
}

static void pins_differ(const struct doctor_facts *facts, const struct doctor_check *check,
                        struct doctor_findings *findings)
{
    for_each_volume(volume, facts) if (is_readable(volume) && volume->pin.kind != ERROR_NONE)
        doctor_find(findings, check, name_of(volume),
                    "if you re-encrypted the volume: bootseal remove its protectors, and enroll it anew; if not, "
                    "the header was changed by someone: restore it from a backup",
                    "the volume is not the one that is pinned, so the boot will not open it: %s", volume->pin.text);
}

/* A list that cannot be read is another matter. */
static bool is_anything_approved(const struct doctor_facts *facts)
{
    const struct status *status = &facts->status;

    return status->damage.kind != ERROR_NONE || status->state.approval.object_count > 0 || status->state.has_next;
}

/* What removes the last protector ends the approval first. */
static void removal_cut(const struct doctor_facts *facts, const struct doctor_check *check,
                        struct doctor_findings *findings)
{
    for_each_volume(volume, facts) if (is_readable(volume) && volume->status->protectors.count > 0 &&
                                       !is_anything_approved(facts))
        doctor_find(findings, check, name_of(volume), "run: bootseal remove, and bootseal enroll to have new ones",
                    "nothing is approved on this machine, so the protectors of the volume open nothing: a removal was "
                    "cut, or the state folder has lost its list");
}

static void list_damaged(const struct doctor_facts *facts, const struct doctor_check *check,
                         struct doctor_findings *findings)
{
    for_each_volume(volume, facts) if (is_readable(volume) && volume->pin.kind == ERROR_NONE &&
                                       volume->status->protectors.count > 0 && !volume->list_good &&
                                       is_anything_approved(facts))
        doctor_find(findings, check, name_of(volume), "run: bootseal doctor --fix",
                    "the list of approved states in the header is missing, damaged, or not the state folder's");
}

/* Harmless: which of the two lists is in force the TPM knows. */
static void list_cut(const struct doctor_facts *facts, const struct doctor_check *check,
                     struct doctor_findings *findings)
{
    for_each_volume(volume, facts) if (volume->list_good && volume->list_cut)
        doctor_find(findings, check, name_of(volume), "run: bootseal doctor --fix",
                    "a change of the approved states was cut: the list before it and the one after it are still kept");
}

/* What is wrong with its tokens besides that. */
static void protector_damaged(const struct doctor_facts *facts, const struct doctor_check *check,
                              struct doctor_findings *findings)
{
    for_each_volume(volume, facts) if (volume->status->unlock.kind == ERROR_METADATA &&
                                       volume->pin.kind == ERROR_NONE && volume->list_good)
        doctor_find(findings, check, name_of(volume),
                    volume->status->unlock.remedy[0]
                        ? volume->status->unlock.remedy
                        : "restore the header from a backup, or remove the protector and enroll anew",
                    "%s", volume->status->unlock.text);
}

static void protector_missing(const struct doctor_facts *facts, const struct doctor_check *check,
                              struct doctor_findings *findings)
{
    for_each_volume(volume, facts) if (volume->status->unlock.kind == ERROR_NO_PROTECTOR)
        doctor_find(findings, check, name_of(volume), "run: bootseal enroll",
                    "the volume has no protector: TPM and PIN do not open it");
}

static void next_unlock_fails(const struct doctor_facts *facts, const struct doctor_check *check,
                              struct doctor_findings *findings)
{
    for_each_volume(volume, facts) if (volume->status->next_unlock == STATUS_NO)
        doctor_find(findings, check, name_of(volume),
                    volume->status->next_reason.remedy[0] ? volume->status->next_reason.remedy
                                                          : "have the recovery key at hand, and see the other findings",
                    "the next boot will not open the volume: %s", volume->status->next_reason.text);
}

static void no_recovery_key(const struct doctor_facts *facts, const struct doctor_check *check,
                            struct doctor_findings *findings)
{
    for_each_volume(volume, facts) if (is_readable(volume) && volume->status->recovery_key_count == 0)
        doctor_find(findings, check, name_of(volume), "run: bootseal recovery-key add",
                    "the volume has no recovery key: when the TPM does not open it, only an old passphrase does, or "
                    "nothing at all");
}

static void recovery_key_used(const struct doctor_facts *facts, const struct doctor_check *check,
                              struct doctor_findings *findings)
{
    for_each_volume(volume, facts) for (size_t i = 0; i < volume->status->recovery_key_count;
                                        i++) if (volume->status->recovery_keys[i].used[0])
        doctor_find(findings, check, name_of(volume), "run: bootseal recovery-key rotate",
                    "the recovery key %s was used (%s): who stood there has seen it",
                    volume->status->recovery_keys[i].id, volume->status->recovery_keys[i].used);
}

static void passphrase_left(const struct doctor_facts *facts, const struct doctor_check *check,
                            struct doctor_findings *findings)
{
    char keyslots[KEYSLOT_LIST_TEXT];

    for_each_volume(volume, facts)
    {
        uint32_t left = volume->status->other_keyslots & ~volume->status->orphan_keyslots;

        if (!left)
            continue;
        format_keyslots(left, keyslots);
        doctor_find(findings, check, name_of(volume),
                    "once a recovery key is kept in a safe place, remove them: cryptsetup luksKillSlot DEVICE KEYSLOT",
                    "passphrases that bootseal does not manage (keyslots %s) open the volume without TPM and PIN",
                    keyslots);
    }
}

static void keyslot_unnamed(const struct doctor_facts *facts, const struct doctor_check *check,
                            struct doctor_findings *findings)
{
    char keyslots[KEYSLOT_LIST_TEXT];

    for_each_volume(volume, facts)
    {
        if (!volume->status->orphan_keyslots || volume->pending)
            continue;
        format_keyslots(volume->status->orphan_keyslots, keyslots);
        doctor_find(findings, check, name_of(volume),
                    "if it is no key of yours, remove it: cryptsetup luksKillSlot DEVICE KEYSLOT",
                    "keyslots %s hold a machine-made key that no token names: a protector's or recovery key's whose "
                    "token was lost",
                    keyslots);
    }
}

static void enrolment_cut(const struct doctor_facts *facts, const struct doctor_check *check,
                          struct doctor_findings *findings)
{
    for_each_volume(volume, facts) if (volume->pending)
        doctor_find(findings, check, name_of(volume), "run: bootseal doctor --fix",
                    "an enrolment was cut, and left a token and perhaps a keyslot behind");
}

static void no_pin(const struct doctor_facts *facts, const struct doctor_check *check, struct doctor_findings *findings)
{
    for_each_volume(volume, facts) for (size_t i = 0; i < volume->status->protectors.count;
                                        i++) if (volume->status->protectors.items[i].kind == PROTECTOR_TPM2)
        doctor_find(findings, check, name_of(volume),
                    "if that was not meant: bootseal remove --protector ID, then enroll with a PIN",
                    "the protector %s has no PIN: whoever switches the machine on has the data%s",
                    volume->status->protectors.items[i].id,
                    status_has_bypassed_pin(volume->status) ? ", and the PINs of the volume protect nothing" : "");
}

static void nothing_enrolled(const struct doctor_facts *facts, const struct doctor_check *check,
                             struct doctor_findings *findings)
{
    if (facts->volume_count == 0 && facts->status.damage.kind == ERROR_NONE)
        doctor_find(findings, check, "", "run: bootseal enroll", "no volume is enrolled on this machine");
}

const struct doctor_check doctor_checks_volumes[] = {
    { "nothing-enrolled", DOCTOR_WARNING, DOCTOR_REPAIR_NONE, nothing_enrolled },
    { "volume-unreadable", DOCTOR_FAULT, DOCTOR_REPAIR_NONE, unreadable },
    { "pins-differ", DOCTOR_FAULT, DOCTOR_REPAIR_NONE, pins_differ },
    { "approval-token", DOCTOR_FAULT, DOCTOR_REPAIR_APPROVAL, list_damaged },
    { "removal-cut", DOCTOR_WARNING, DOCTOR_REPAIR_NONE, removal_cut },
    { "approval-cut", DOCTOR_WARNING, DOCTOR_REPAIR_APPROVAL, list_cut },
    { "protector-damaged", DOCTOR_FAULT, DOCTOR_REPAIR_NONE, protector_damaged },
    { "protector-missing", DOCTOR_FAULT, DOCTOR_REPAIR_NONE, protector_missing },
    { "next-unlock-fails", DOCTOR_FAULT, DOCTOR_REPAIR_NONE, next_unlock_fails },
    { "enrolment-cut", DOCTOR_WARNING, DOCTOR_REPAIR_LEFTOVERS, enrolment_cut },
    { "keyslot-unnamed", DOCTOR_WARNING, DOCTOR_REPAIR_NONE, keyslot_unnamed },
    { "passphrase-left", DOCTOR_WARNING, DOCTOR_REPAIR_NONE, passphrase_left },
    { "no-recovery-key", DOCTOR_WARNING, DOCTOR_REPAIR_NONE, no_recovery_key },
    { "recovery-key-used", DOCTOR_WARNING, DOCTOR_REPAIR_NONE, recovery_key_used },
    { "no-pin", DOCTOR_WARNING, DOCTOR_REPAIR_NONE, no_pin },
    { 0 },
};
