#include "measure/align.h"

#include "base/cleanup.h"

#include <stdint.h>

/* What is between the common ends: `rows` and `columns` elements from `start` on. */
struct middle {
    size_t start, rows, columns;
    align_equal *equal;
    const void *context;
};

static bool equal_at(const struct middle *middle, size_t row, size_t column)
{
    return middle->equal(middle->context, middle->start + row, middle->start + column);
}

/* lengths[row][column]: how long a common subsequence of the rests from there on is. */
static void fill(const struct middle *middle, uint16_t *lengths)
{
    size_t width = middle->columns + 1;

    for (size_t row = middle->rows; row-- > 0;)
        for (size_t column = middle->columns; column-- > 0;) {
            uint16_t below = lengths[(row + 1) * width + column], right = lengths[row * width + column + 1];

            if (equal_at(middle, row, column))
                lengths[row * width + column] = (uint16_t)(lengths[(row + 1) * width + column + 1] + 1);
            else
                lengths[row * width + column] = below >= right ? below : right;
        }
}

static void walk(const struct middle *middle, const uint16_t *lengths, size_t *partner)
{
    size_t width = middle->columns + 1, row = 0, column = 0;

    while (row < middle->rows && column < middle->columns) {
        if (equal_at(middle, row, column))
            partner[middle->start + row++] = middle->start + column++;
        else if (lengths[(row + 1) * width + column] >= lengths[row * width + column + 1])
            row++;
        else
            column++;
    }
}

static int align_middle(const struct middle *middle, size_t *partner, struct error *error)
{
    cleanup(free_ptr) uint16_t *lengths = NULL;

    if (middle->rows == 0 || middle->columns == 0 || middle->rows >= UINT16_MAX || middle->columns >= UINT16_MAX ||
        (middle->rows + 1) * (middle->columns + 1) > ALIGN_MAX_CELLS)
        return 0;
    lengths = calloc((middle->rows + 1) * (middle->columns + 1), sizeof(*lengths));
    if (!lengths)
        return error_no_memory(error);
    fill(middle, lengths);
    walk(middle, lengths, partner);
    return 0;
}

int align(size_t count, size_t other_count, align_equal *equal, const void *context, size_t *partner,
          struct error *error)
{
    size_t smaller = count < other_count ? count : other_count, start = 0, end = 0;

    for (size_t i = 0; i < count; i++)
        partner[i] = ALIGN_NONE;
    for (; start < smaller && equal(context, start, start); start++)
        partner[start] = start;
    for (; end < smaller - start && equal(context, count - end - 1, other_count - end - 1); end++)
        partner[count - end - 1] = other_count - end - 1;
    return align_middle(&(struct middle){ start, count - start - end, other_count - start - end, equal, context },
                        partner, error);
}
