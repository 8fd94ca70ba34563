/* What a piece of a test writes to a file descriptor. */
#pragma once

struct capture {
    int fd, saved;
    char path[64];
};

/* Sends what is written to `fd` elsewhere from now on. */
void capture_start(struct capture *ret, int fd);

/* Ends it and returns what was written, to be freed by the caller. */
char *capture_end(struct capture *capture);
