/* Within predict/grub: the script language's words and signs. */
#pragma once

#include "measure/predict/grub/script.h"

enum token_kind {
    TOKEN_END,
    TOKEN_NEWLINE,
    TOKEN_SEMICOLON,
    TOKEN_OPEN,
    TOKEN_CLOSE,
    TOKEN_WORD,
};

struct token {
    enum token_kind kind;
    const char *raw; /* as it stands in the source */
    size_t size;
    unsigned line;
    struct part *parts; /* of a word */
    bool plain;         /* of a word: no quote, escape or variable in it, so that it may be a reserved one */
};

/* The next token; the parser's offset moves behind it. */
int lexer_next(struct parser *parser, struct token *ret, struct error *error);

/* True when the token is this reserved word. */
bool token_is(const struct token *token, const char *reserved);

/* True for any reserved word. */
bool token_is_reserved(const struct token *token);

/* True when the token has the form of a name: letters, digits and "_", no digit in front. */
bool token_is_name(const struct token *token);
