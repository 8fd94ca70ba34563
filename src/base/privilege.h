/*
 * What a program gives up before it looks at anything: keys pass through it, and it reads what an attacker may have
 * written. bootseal-security(7) says what is given up and why; a library in somebody else's process (the token plugin)
 * gives up nothing.
 */
#pragma once

#include <stdbool.h>

/*
 * To be called first of all: standard streams are open (base/streams.h), no core dumps and no debugger of the same
 * user, no rights by the set-user-ID bit for any program that is run, new files for the owner alone, and an environment
 * in which no library finds orders. `kept` lists the variables that stay: names, or beginnings of names with a '*' at
 * the end; NULL at the end. The strings themselves stay where they are.
 */
void privilege_start(const char *const *kept);

/*
 * From now on this process, and what it runs, cannot load code into the kernel, reach into another process, or change
 * what lies where in the file tree: these system calls fail with EPERM. For a program that runs nothing that needs
 * them. False when the kernel has no system call filters, or the machine's kind is not known here: survived, and worth
 * a word with --verbose.
 */
bool privilege_forbid_calls(void);
