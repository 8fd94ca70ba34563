/*
 * Within predict/grub: the state of GRUB while its configuration is interpreted. Everything lives in the pool.
 *
 * A command's outcome is a status: GRUB's own code may depend on hardware, and then it is not known; only who asks for
 * it (an "if", "$?") cannot be followed. What cannot be followed ends the run with an error.
 */
#pragma once

#include "measure/predict/grub/files.h"
#include "measure/predict/grub/script.h"

#define RUN_MAX_COMMANDS (EXTEND_LIST_MAX / 2) /* each is an event, some with a file */
#define RUN_MAX_DEPTH 56                       /* GRUB 2.06 stops at 64 (MAX_RECURSION_DEPTH) */
#define RUN_MAX_MENU 512                       /* entries; each kernel has two or three */

enum status { STATUS_GOOD, STATUS_FAILED, STATUS_UNKNOWN };

struct variable {
    const char *name;
    const char *value;
    bool exported;
    struct variable *next;
};

/* An entry as the menuentry command made it. */
struct entry {
    const char *id;
    const char *title;
    char **arguments; /* the title first */
    size_t argument_count;
    const char *source; /* what GRUB executes: setparams, then the body */
    bool submenu;
    bool restricted; /* asks for a user when there are superusers */
    struct entry *next;
};

/* GRUB's environment: configfile and submenus open one of their own, with the exported variables. */
struct context {
    struct variable *variables;
    struct entry *entries;
    struct entry **end;
    size_t count;
    struct context *outer;
};

/* $1, $2, … of a function or menu entry. */
struct scope {
    char **arguments;
    size_t count;
    struct scope *outer;
};

struct arguments {
    char **items;
    size_t count;
    bool block; /* the last is one */
};

struct run {
    const struct grub_request *request;
    struct pool pool;
    struct grub_files files;
    struct grub_boot *boot;
    struct function *functions;
    struct context *context;
    struct scope *scope;
    const struct node *node; /* what is executed, for messages */
    enum status status;      /* $? */
    const char *choice;      /* the rest of the request's, NULL for none */
    const char *path;        /* of the menu entry that is executed, as in grub_menu_entry */
    unsigned depth, loops, breaks;
    size_t commands;
    size_t file_depth; /* source and configfile within each other */
    bool continues, returns;
    bool graphics; /* gfxterm was chosen */
    bool silent;   /* looks into a submenu: nothing is measured or loaded */
    bool booted;   /* the kernel starts: everything ends */
};

/* ERROR_FAILED for the command that is executed. */
int run_refuse(const struct run *run, struct error *error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* For clang's analyzer, as in error.h. */
#if defined(__clang_analyzer__) && !defined(RUN_IMPLEMENTATION)
#define run_refuse(...) (run_refuse(__VA_ARGS__), (int)ERROR_FAILED)
#endif

/* Puts where it happened before an error, and the remedy. Returns `r`. */
int run_refuse_inner(const struct run *run, int r, struct error *error);

/* Measures a text into PCR 8: the event is "PREFIX: TEXT". */
int run_measure_text(struct run *run, const char *prefix, const char *text, struct error *error);

/* The file that GRUB means with a name; kind GRUB_FILE_NONE when it is not there. */
int run_find_file(struct run *run, const char *name, struct grub_file **ret, struct error *error);

/* GRUB opens the file: measured into PCR 9 under this name when it is there. *ret is NULL when it is not. */
int run_open_file(struct run *run, const char *name, struct grub_file **ret, struct error *error);

/* The file is noted as one that the prediction rests on. */
int run_note_file(struct run *run, const struct grub_file *file, struct error *error);

/* execute.c */

int run_list(struct run *run, const struct node *list, struct error *error);

/* Executes text that is no file of its own: a menu entry. */
int run_text(struct run *run, const char *name, const char *text, struct error *error);

/* Reads and executes a configuration file in the current context. */
int run_file(struct run *run, const char *name, struct error *error);

/* expand.c */

/* The words of a command, expanded. */
int run_expand(struct run *run, const struct word *words, struct arguments *ret, struct error *error);

/* variables.c */

/* NULL when it is not set. */
const char *run_get(const struct run *run, const char *name);

/* Some variables do something when they are set: prefix and the language make GRUB read files. */
int run_set(struct run *run, const char *name, const char *value, struct error *error);

int run_unset(struct run *run, const char *name, struct error *error);
int run_export(struct run *run, const char *name, struct error *error);
int run_open_context(struct run *run, struct error *error);
void run_close_context(struct run *run);

/* GRUB's own variables, as normal mode has them. */
int run_set_first(struct run *run, struct error *error);

/* language.c: $lang, $locale_dir, $secondary_locale_dir or $prefix (to this value) is set. */
int run_load_translations(struct run *run, const char *name, const char *value, struct error *error);

/* menu.c */

/* Shows the current context's menu, which has entries, and boots from it. */
int run_menu(struct run *run, struct error *error);

/* commands.c */

struct command {
    const char *name;
    int (*execute)(struct run *run, const struct arguments *arguments, struct error *error);
};

/* What a command of this name does; NULL when it is none that is known here. */
const struct command *command_find(const char *name);

/* True when GRUB has such a command, in its image or in a module. */
bool command_exists(const char *name);

/* True when Debian's signed GRUB has the module in its image. */
bool module_is_built_in(const char *name);

/* The rest of the commands, by file. arguments->items[0] is the command's name; the status is left in run->status. */
int command_test(struct run *run, const struct arguments *arguments, struct error *error);
int command_search(struct run *run, const struct arguments *arguments, struct error *error);
int command_load_env(struct run *run, const struct arguments *arguments, struct error *error);
int command_save_env(struct run *run, const struct arguments *arguments, struct error *error);
int command_menuentry(struct run *run, const struct arguments *arguments, struct error *error);
int command_linux(struct run *run, const struct arguments *arguments, struct error *error);
int command_initrd(struct run *run, const struct arguments *arguments, struct error *error);
int command_boot(struct run *run, const struct arguments *arguments, struct error *error);
