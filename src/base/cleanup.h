/*
 * Ownership: every owned local carries cleanup(destructor) at its declaration; take_ptr() hands the value over.
 * A destructor takes the address of the variable and accepts an empty one.
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define cleanup(destructor) __attribute__((cleanup(destructor)))

/* Returns the pointer and leaves NULL behind, so that the variable's destructor finds nothing to free. */
#define take_ptr(pointer)                                                                                              \
    ({                                                                                                                 \
        __typeof__(pointer) *slot_ = &(pointer);                                                                       \
        __typeof__(pointer) value_ = *slot_;                                                                           \
        *slot_ = NULL;                                                                                                 \
        value_;                                                                                                        \
    })

#define array_size(array) (sizeof(array) / sizeof((array)[0]))

static inline void free_ptr(void *slot)
{
    free(*(void **)slot);
}

static inline void close_fd(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static inline void close_stream(FILE **stream)
{
    if (*stream)
        fclose(*stream);
}
