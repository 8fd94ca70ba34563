#include "protect/doctor/doctor.h"

#include "base/cleanup.h"

#include <stdarg.h>
#include <string.h>

const struct doctor_check *const doctor_groups[] = {
    doctor_checks_tpm,
    doctor_checks_boot,
    doctor_checks_next_boot,
    doctor_checks_volumes,
    doctor_checks_storage,
    doctor_checks_initramfs,
    NULL,
};

const char *doctor_severity_name(enum doctor_severity severity)
{
    static const char *const names[] = {
        [DOCTOR_NOTE] = "note",
        [DOCTOR_WARNING] = "warning",
        [DOCTOR_FAULT] = "fault",
    };

    return names[severity];
}

void doctor_find(struct doctor_findings *findings, const struct doctor_check *check, const char *subject,
                 const char *remedy, const char *format, ...)
{
    struct doctor_finding *finding;
    va_list arguments;

    if (findings->count == DOCTOR_FINDINGS_MAX)
        return;
    finding = &findings->items[findings->count++];
    *finding = (struct doctor_finding){ .check = check };
    snprintf(finding->subject, sizeof(finding->subject), "%s", subject);
    snprintf(finding->remedy, sizeof(finding->remedy), "%s", remedy);
    va_start(arguments, format);
    vsnprintf(finding->text, sizeof(finding->text), format, arguments);
    va_end(arguments);
}

int doctor_examine(const struct doctor_facts *facts, struct doctor_findings *ret, struct error *error)
{
    *ret = (struct doctor_findings){ .items = calloc(DOCTOR_FINDINGS_MAX, sizeof(*ret->items)) };
    if (!ret->items)
        return error_no_memory(error);
    for (const struct doctor_check *const *group = doctor_groups; *group; group++)
        for (const struct doctor_check *check = *group; check->kind; check++)
            check->run(facts, check, ret);
    return 0;
}

void doctor_findings_free(struct doctor_findings *findings)
{
    free(findings->items);
    *findings = (struct doctor_findings){ 0 };
}

static bool is_listed(const struct doctor_findings *findings, const struct doctor_finding *wanted)
{
    for (size_t i = 0; i < findings->count; i++)
        if (findings->items[i].check == wanted->check && strcmp(findings->items[i].subject, wanted->subject) == 0)
            return true;
    return false;
}

void doctor_mark_fixed(struct doctor_findings *before, const struct doctor_findings *now)
{
    for (size_t i = 0; i < before->count; i++)
        before->items[i].fixed = before->items[i].fix.kind == ERROR_NONE && !is_listed(now, &before->items[i]);
    for (size_t i = 0; i < now->count && before->count < DOCTOR_FINDINGS_MAX; i++)
        if (!is_listed(before, &now->items[i]))
            before->items[before->count++] = now->items[i];
}
