/*
 * plymouth, the splash screen: while it runs, nobody sees the console, so messages go there too.
 */
#pragma once

/* The path of plymouth's client, or NULL when it is not installed. */
const char *plymouth_find(void);

/* Has the client at `program` show one line, if the splash screen runs. Never fails. */
void plymouth_show(const char *program, const char *text);
