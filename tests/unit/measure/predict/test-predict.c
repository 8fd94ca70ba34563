#include "measure/predict/predict.h"

#include "base/cleanup.h"
#include "grub-machine.h"
#include "log-builder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void predict(const struct predict_machine *machine, struct prediction *ret)
{
    struct error error = { 0 };

    if (predict_boots(machine, ret, &error))
        fail_msg("%s", error.text);
}

/* The running boot once more is the next one. */
static void the_same_again(void **state)
{
    cleanup(grub_machine_end) struct grub_machine machine;
    cleanup(prediction_free) struct prediction prediction = { 0 };
    const struct predicted_boot *boot;
    struct pcr_values usb;

    (void)state;
    grub_machine_start(&machine, "a");
    predict(&machine.scratch.machine, &prediction);
    assert_int_equal(prediction.chain, CHAIN_SHIM_GRUB);
    boot = &prediction.boots[0];
    assert_true(boot->chosen && boot->order == 0 && boot->step == 0 && !boot->shell);
    assert_recorded(&machine.recorded, boot);
    assert_string_equal(boot->label, "linux 6.1.0-56-cloud-amd64");
    assert_string_equal(boot->title, "Debian GNU/Linux");
    assert_string_equal(boot->command_line, "root=UUID=86e224d5-2e88-4382-a7fc-a3a8681dcd50 ro console=ttyS0");
    assert_int_equal(boot->initrd_count, 1);
    read_recorded(GRUB_RECORDED "usbhigh", &usb); /* the other order of disks */
    usb.mask &= 1u << 4 | 1u << 7 | 1u << 8 | 1u << 9 | 1u << 14;
    assert_recorded(&usb, find_boot(&prediction, 1, true, 0, "gnulinux-simple"));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_again),
    };

    recorded_folder = argc > 1 ? argv[1] : NULL;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
