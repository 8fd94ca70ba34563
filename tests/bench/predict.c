/*
 * What a prediction costs on a machine with shim, GRUB and two kernels of Debian's sizes: processor time, beside that
 * of hashing the same bytes once with sha256sum, and memory, which must not grow with the files. The menu is
 * grub-mkconfig's, for two orders of the disks. Prints a line for each size of the initrds.
 */
#include "measure/predict/predict.h"
#include "base/cleanup.h"
#include "grub-machine.h"
#include "log-builder.h"
#include "scratch.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define MIB (1024 * 1024)
#define KERNEL_MIB 8
#define REPEATS 3 /* of which the fastest counts: the others waited for something */

static const char *const releases[] = { "6.1.0-53-cloud-amd64", "6.1.0-56-cloud-amd64" };

/* Of the processor, so that what else the machine does counts less: this process, and programs that it ran. */
static double now(void)
{
    struct rusage self, programs;
    double seconds;

    getrusage(RUSAGE_SELF, &self);
    getrusage(RUSAGE_CHILDREN, &programs);
    seconds =
        (double)(self.ru_utime.tv_sec + self.ru_stime.tv_sec + programs.ru_utime.tv_sec + programs.ru_stime.tv_sec);
    return seconds + (double)(self.ru_utime.tv_usec + self.ru_stime.tv_usec + programs.ru_utime.tv_usec +
                              programs.ru_stime.tv_usec) /
                         1e6;
}

/* Appends bytes that are never the same, up to that size. */
static void fill(const char *path, size_t size)
{
    cleanup(close_stream) FILE *stream = fopen(path, "a");
    cleanup(free_ptr) uint32_t *block = malloc(MIB);
    static uint32_t number = 1;

    assert_non_null(stream);
    assert_non_null(block);
    for (size_t done = (size_t)ftell(stream); done < size;) {
        size_t length = size - done < MIB ? size - done : MIB;

        for (size_t i = 0; i < MIB / sizeof(*block); i++)
            block[i] = number = number * 1664525 + 1013904223;
        assert_int_equal(fwrite(block, 1, length, stream), length);
        done += length;
    }
}

static void add_kernel(struct grub_machine *machine, const char *release, size_t initrd_mib)
{
    cleanup(free_ptr) struct made_image *kernel = malloc(sizeof(*kernel));
    char path[PATH_MAX], name[64];

    assert_non_null(kernel);
    made_kernel(kernel, release);
    snprintf(name, sizeof(name), "boot/vmlinuz-%s", release);
    made_write(kernel, machine->scratch.folder, name, NULL);
    grub_machine_forget_file(machine, name);
    snprintf(path, sizeof(path), "%s/%s", machine->scratch.folder, name);
    fill(path, KERNEL_MIB * MIB);
    snprintf(name, sizeof(name), "boot/initrd.img-%s", release);
    grub_machine_forget_file(machine, name);
    snprintf(path, sizeof(path), "%s/%s", machine->scratch.folder, name);
    fill(path, initrd_mib * MIB);
}

static size_t predict(const struct grub_machine *machine)
{
    cleanup(prediction_free) struct prediction prediction = { 0 };
    struct error error = { 0 };

    if (predict_boots(&machine->scratch.machine, &prediction, &error))
        fail_msg("%s", error.text);
    for (size_t i = 0; i < prediction.count; i++)
        if (prediction.boots[i].kernel[0])
            assert_true(prediction.boots[i].values.mask & 1u << 9);
    return prediction.count;
}

static void hash(const struct grub_machine *machine)
{
    char command[PATH_MAX + 128];

    snprintf(command, sizeof(command), "exec sha256sum %s/vmlinuz-* %s/initrd.img-* >/dev/null", machine->boot,
             machine->boot);
    assert_int_equal(system(command), 0);
}

/* The fastest of several times, after one that has read the files from disk. */
#define fastest(statement, ret)                                                                                        \
    do {                                                                                                               \
        statement;                                                                                                     \
        *(ret) = 1e9;                                                                                                  \
        for (int i = 0; i < REPEATS; i++) {                                                                            \
            double start = now();                                                                                      \
                                                                                                                       \
            statement;                                                                                                 \
            *(ret) = now() - start < *(ret) ? now() - start : *(ret);                                                  \
        }                                                                                                              \
    } while (0)

static void measure(size_t initrd_mib)
{
    struct grub_machine machine;
    struct rusage usage;
    double seconds, hash_seconds;
    size_t boots = 0;

    grub_machine_start(&machine, "a");
    for (size_t i = 0; i < array_size(releases); i++)
        add_kernel(&machine, releases[i], initrd_mib);
    fastest(boots = predict(&machine), &seconds);
    getrusage(RUSAGE_SELF, &usage);
    fastest(hash(&machine), &hash_seconds);
    printf("2 kernels of %d MiB, 2 initrds of %3zu MiB: %zu boots in %.2f s; sha256sum %.2f s; peak memory %ld MiB\n",
           KERNEL_MIB, initrd_mib, boots, seconds, hash_seconds, usage.ru_maxrss / 1024);
    grub_machine_end(&machine);
}

/* Each size in a process of its own, since a process tells its peak alone. */
static int measure_apart(size_t initrd_mib)
{
    pid_t child = fork();
    int status = 1;

    if (child == 0) {
        measure(initrd_mib);
        fflush(stdout);
        _exit(0);
    }
    return child < 0 || waitpid(child, &status, 0) < 0 ? 1 : status;
}

int main(int argc, char **argv)
{
    static const size_t sizes[] = { 10, 60, 200 };
    int failed = argc != 2;

    recorded_folder = argv[1];
    for (size_t i = 0; !failed && i < array_size(sizes); i++)
        failed = measure_apart(sizes[i]);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
