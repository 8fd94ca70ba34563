/*
 * One error, told outwards: the innermost function says what failed, each caller may put its own words before it, and
 * the program at the top prints the whole on one line, followed by what to do.
 *
 * A function that can fail returns int: 0, or the error's kind, and fills a struct error that its caller owns. The
 * kinds are the exit statuses of bootseal(8), so the kind that is set deepest decides what a script sees.
 *
 * The struct has no pointers: it can be copied, needs no destructor, and holds when memory is short. Control characters
 * in the text (a hostile label, a path) become '?'. A secret never goes into an error.
 */
#pragma once

enum error_kind {
    ERROR_NONE = 0,
    ERROR_FAILED = 1,       /* the machine or its files let us down: see the text */
    ERROR_USAGE = 2,        /* the call was wrong: option, file given by the caller, policy document */
    ERROR_MISMATCH = 3,     /* the boot state does not match the approval */
    ERROR_WRONG_PIN = 4,    /* wrong PIN, passphrase or recovery key */
    ERROR_LOCKOUT = 5,      /* the TPM refuses PINs for now */
    ERROR_TPM = 6,          /* no TPM, or not the one that sealed this, or it misbehaves */
    ERROR_NO_PROTECTOR = 7, /* the volume has no such protector */
    ERROR_NOT_LUKS2 = 8,    /* the device is not a usable LUKS2 volume */
    ERROR_METADATA = 9,     /* damaged or hostile metadata: tokens, header, pins */
    ERROR_REFUSED = 10,     /* it would leave no way in, or weaken protection */
};

struct error {
    enum error_kind kind;
    unsigned tpm_code; /* the TPM's response code when it was the TPM that said no, else 0; never shown as it is */
    char text[1024];
    char remedy[512];
};

/* Sets kind and text, dropping what was there (the TPM's code too). The text ends without a full stop. Returns the
 * kind. */
int error_set(struct error *error, enum error_kind kind, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* As error_set with ERROR_FAILED, and ": " with the words for an errno at the end. */
int error_errno(struct error *error, int number, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* As error_set for memory that could not be had. */
int error_no_memory(struct error *error);

/* Puts "text: " before what is there. Returns the kind. */
int error_prefix(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Sets what the person should do about it, a sentence without a full stop. Returns the kind. */
int error_remedy(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Changes the kind alone, where a caller knows better what an inner failure means. Returns the kind. */
int error_rekind(struct error *error, enum error_kind kind);

/* A stable lower-case word for JSON: "mismatch", "wrong-pin", … */
const char *error_kind_name(enum error_kind kind);

/* clang's analyzer sees one file at a time. That an error is never 0 tells it where a function goes on. */
#if defined(__clang_analyzer__) && !defined(ERROR_IMPLEMENTATION)
#define error_set(...) (error_set(__VA_ARGS__), (int)ERROR_FAILED)
#define error_errno(...) (error_errno(__VA_ARGS__), (int)ERROR_FAILED)
#define error_no_memory(error) (error_no_memory(error), (int)ERROR_FAILED)
#define error_prefix(...) (error_prefix(__VA_ARGS__), (int)ERROR_FAILED)
#define error_remedy(...) (error_remedy(__VA_ARGS__), (int)ERROR_FAILED)
#define error_rekind(error, kind) (error_rekind(error, kind), (int)ERROR_FAILED)
#endif
