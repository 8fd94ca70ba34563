#include "measure/predict/boot-prediction.h"

#include "base/cleanup.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

int boot_prediction_init(struct boot_prediction *prediction, enum hash_algorithm bank, struct error *error)
{
    *prediction = (struct boot_prediction){ 0 };
    return extend_list_init(&prediction->extends, bank, error);
}

void boot_prediction_free(struct boot_prediction *prediction)
{
    extend_list_free(&prediction->extends);
    for (size_t i = 0; i < PCR_COUNT; i++)
        free(prediction->reasons[i]);
    free(prediction->command_line);
    *prediction = (struct boot_prediction){ .extends = { .bank = prediction->extends.bank } };
}

int boot_prediction_give_up(struct boot_prediction *prediction, uint32_t pcrs, struct error *error, const char *format,
                            ...)
{
    struct error reason = { 0 }; /* its text is fit to be shown whatever is in the arguments */
    char text[sizeof reason.text];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    error_set(&reason, ERROR_FAILED, "%s", text);
    for (unsigned pcr = 0; pcr < PCR_COUNT; pcr++) {
        if (!(pcrs & 1u << pcr) || prediction->reasons[pcr])
            continue;
        prediction->reasons[pcr] = strdup(reason.text);
        if (!prediction->reasons[pcr])
            return error_no_memory(error);
        prediction->unknown |= 1u << pcr;
    }
    return 0;
}
