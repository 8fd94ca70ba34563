/* Colour for people: on a terminal only, and not when NO_COLOR is set or the terminal is a dumb one. */
#pragma once

#include <stdio.h>

enum paint { PAINT_PLAIN, PAINT_GOOD, PAINT_WARNING, PAINT_BAD };

/* What is to be printed to stdout before a word, and PAINT_PLAIN's after it; "" where there is no colour. */
const char *paint(enum paint colour);
