#include "policy/label.h"

#include <string.h>

/* Bytes of the well-formed UTF-8 sequence at `text` (Unicode, table 3-7), 0 for a broken one. */
static size_t sequence_size(const unsigned char *text)
{
    static const struct {
        unsigned char first, last; /* of the first byte */
        unsigned char second_first, second_last;
        size_t size;
    } forms[] = {
        { 0x20, 0x7e, 0, 0, 1 },       /* C0 and DEL are left out */
        { 0xc2, 0xc2, 0xa0, 0xbf, 2 }, /* U+0080 to U+009F, the C1 controls, are left out */
        { 0xc3, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 }, { 0xe1, 0xec, 0x80, 0xbf, 3 },
        { 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 }, { 0xf0, 0xf0, 0x90, 0xbf, 4 },
        { 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
    };
    size_t i = 0, size;

    while (i < sizeof(forms) / sizeof(forms[0]) && (text[0] < forms[i].first || text[0] > forms[i].last))
        i++;
    if (i == sizeof(forms) / sizeof(forms[0]))
        return 0;
    size = forms[i].size;
    if (size > 1 && (text[1] < forms[i].second_first || text[1] > forms[i].second_last))
        return 0;
    /* the NUL at the end is no continuation byte, so nothing is read past it */
    for (size_t k = 2; k < size; k++)
        if ((text[k] & 0xc0) != 0x80)
            return 0;
    return size;
}

bool branch_label_clean(char label[BRANCH_LABEL_MAX + 1])
{
    bool good = memchr(label, '\0', BRANCH_LABEL_MAX + 1) != NULL;
    size_t i = 0;

    label[BRANCH_LABEL_MAX] = '\0';
    while (label[i]) {
        size_t size = sequence_size((const unsigned char *)label + i);

        if (size == 0) {
            label[i] = '?';
            good = false;
        }
        i += size ? size : 1;
    }
    return good;
}
