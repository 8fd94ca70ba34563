#include "measure/predict/grub/lexer.h"

#include "base/cleanup.h"

#include <string.h>

/* One word while it is read. */
struct reader {
    struct parser *parser;
    struct token *token;
    struct part **end; /* where the next part is linked */
    struct pool_text text;
    bool wild;
};

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool at_end(const struct parser *parser)
{
    return parser->offset >= parser->source->size;
}

/* The next character, '\0' at the end: a source has none of those. */
static char peek(const struct parser *parser)
{
    if (at_end(parser))
        return '\0';
    return parser->source->text[parser->offset];
}

static void advance(struct parser *parser)
{
    if (peek(parser) == '\n')
        parser->line++;
    parser->offset++;
}

static int refuse(const struct reader *reader, struct error *error, const char *what)
{
    return script_refuse(reader->parser->source, reader->token->line, error, "%s", what);
}

static int add_part(struct reader *reader, enum part_kind kind, const char *text, struct error *error)
{
    struct part *part = pool_new(reader->parser->pool, sizeof *part);

    if (!part || !text)
        return pool_error(reader->parser->pool, error);
    *part = (struct part){ .kind = kind, .text = text, .wild = reader->wild };
    *reader->end = part;
    reader->end = &part->next;
    return 0;
}

/* Makes a part of the text so far; an empty unquoted one counts for nothing. */
static int end_text(struct reader *reader, enum part_kind kind, struct error *error)
{
    int r = 0;

    if (reader->text.size > 0)
        r = add_part(reader, kind, reader->text.bytes, error);
    else if (kind == PART_QUOTED)
        r = add_part(reader, kind, "", error);
    reader->text = (struct pool_text){ 0 };
    reader->wild = false;
    return r;
}

/* Takes the next character into the text. */
static int take(struct reader *reader, struct error *error)
{
    char c = peek(reader->parser);

    advance(reader->parser);
    return pool_text_put(reader->parser->pool, &reader->text, &c, 1, error);
}

/* The length of a variable's name at `text`: a name, a number or one sign; 0 when there is none. */
static size_t name_length(const char *text, size_t size)
{
    size_t length = 0;

    if (size > 0 && strchr("?#*@", text[0]) && text[0] != '\0')
        return 1;
    if (size > 0 && is_digit(text[0]))
        while (length < size && is_digit(text[length]))
            length++;
    else if (size > 0 && is_letter(text[0]))
        while (length < size && (is_letter(text[length]) || is_digit(text[length])))
            length++;
    return length;
}

/* Behind the "$": "name" or "{name}". */
static int read_variable(struct reader *reader, enum part_kind kind, struct error *error)
{
    struct parser *parser = reader->parser;
    bool braces = peek(parser) == '{';
    const char *text = parser->source->text + parser->offset + braces;
    size_t left = at_end(parser) ? 0 : parser->source->size - parser->offset - braces;
    size_t length = name_length(text, left);

    if (length == 0 || (braces && (length == left || text[length] != '}')))
        return refuse(reader, error, "a \"$\" without a variable's name behind it");
    parser->offset += length + 2 * (size_t)braces;
    return add_part(reader, kind, pool_copy(parser->pool, text, length), error);
}

static int read_single_quotes(struct reader *reader, struct error *error)
{
    int r = 0;

    while (!r && peek(reader->parser) != '\'') {
        if (at_end(reader->parser))
            return refuse(reader, error, "a quote that does not end");
        r = take(reader, error);
    }
    advance(reader->parser);
    return r ?: end_text(reader, PART_QUOTED, error);
}

/* Behind a backslash between double quotes: it keeps its meaning before $, ", \ and the end of a line alone. */
static int read_quoted_escape(struct reader *reader, struct error *error)
{
    char c = peek(reader->parser);

    if (c == '\n') {
        advance(reader->parser);
        return 0;
    }
    if (c == '$' || c == '"' || c == '\\')
        return take(reader, error);
    return pool_text_put(reader->parser->pool, &reader->text, "\\", 1, error);
}

static int read_double_quotes(struct reader *reader, struct error *error)
{
    struct parser *parser = reader->parser;
    int r = 0;

    while (!r && peek(parser) != '"') {
        if (at_end(parser))
            return refuse(reader, error, "a quote that does not end");
        if (peek(parser) == '\\') {
            advance(parser);
            r = read_quoted_escape(reader, error);
        } else if (peek(parser) == '$') {
            advance(parser);
            r = end_text(reader, PART_QUOTED, error) ?: read_variable(reader, PART_QUOTED_VARIABLE, error);
        } else {
            r = take(reader, error);
        }
    }
    advance(parser);
    return r ?: end_text(reader, PART_QUOTED, error);
}

/* A backslash between no quotes: the next character as it is, or nothing at the end of a line. */
static int read_escape(struct reader *reader, struct error *error)
{
    advance(reader->parser);
    if (at_end(reader->parser))
        return refuse(reader, error, "a backslash at the end of the file");
    if (peek(reader->parser) != '\n')
        return take(reader, error);
    advance(reader->parser);
    return 0;
}

static int read_dollar(struct reader *reader, struct error *error)
{
    advance(reader->parser);
    if (peek(reader->parser) == '"')
        return refuse(reader, error, "a text that GRUB translates ($\"…\")");
    return end_text(reader, PART_TEXT, error) ?: read_variable(reader, PART_VARIABLE, error);
}

static int read_quotes(struct reader *reader, struct error *error)
{
    bool single = peek(reader->parser) == '\'';
    int r = end_text(reader, PART_TEXT, error);

    advance(reader->parser);
    if (r)
        return r;
    return single ? read_single_quotes(reader, error) : read_double_quotes(reader, error);
}

static bool ends_word(char c)
{
    return c == '\0' || strchr("{}|&;<> \t\n", c);
}

static int read_word(struct parser *parser, struct token *token, struct error *error)
{
    struct reader reader = { .parser = parser, .token = token, .end = &token->parts };
    int r = 0;

    token->kind = TOKEN_WORD;
    token->plain = true;
    while (!r && !ends_word(peek(parser))) {
        char c = peek(parser);

        token->plain = token->plain && !strchr("\\'\"$", c);
        if (c == '\\') {
            r = read_escape(&reader, error);
        } else if (c == '\'' || c == '"') {
            r = read_quotes(&reader, error);
        } else if (c == '$') {
            r = read_dollar(&reader, error);
        } else {
            reader.wild = reader.wild || c == '*' || c == '?';
            r = take(&reader, error);
        }
    }
    return r ?: end_text(&reader, PART_TEXT, error);
}

static void skip_blanks(struct parser *parser)
{
    while (peek(parser) == ' ' || peek(parser) == '\t')
        advance(parser);
    if (peek(parser) == '#')
        while (!at_end(parser) && peek(parser) != '\n')
            advance(parser);
}

/* Signs that GRUB knows and makes no use of (| & < >, ;;) are refused: its parser stops there as well. */
static int read_sign(struct parser *parser, struct token *token, struct error *error)
{
    static const struct {
        char sign;
        enum token_kind kind;
    } signs[] = { { '\n', TOKEN_NEWLINE }, { ';', TOKEN_SEMICOLON }, { '{', TOKEN_OPEN }, { '}', TOKEN_CLOSE } };

    for (size_t i = 0; i < array_size(signs); i++)
        if (peek(parser) == signs[i].sign) {
            token->kind = signs[i].kind;
            advance(parser);
            if (token->kind != TOKEN_SEMICOLON || peek(parser) != ';')
                return 0;
        }
    return script_refuse(parser->source, token->line, error, "a sign that GRUB's language has no use for");
}

int lexer_next(struct parser *parser, struct token *ret, struct error *error)
{
    int r = 0;

    skip_blanks(parser);
    *ret = (struct token){ .kind = TOKEN_END, .line = source_line(parser->source, parser->line) };
    ret->raw = parser->source->text + parser->offset;
    if (at_end(parser))
        return 0;
    if (ends_word(peek(parser)))
        r = read_sign(parser, ret, error);
    else
        r = read_word(parser, ret, error);
    ret->size = (size_t)(parser->source->text + parser->offset - ret->raw);
    return r;
}

bool token_is(const struct token *token, const char *reserved)
{
    return token->kind == TOKEN_WORD && token->plain && token->size == strlen(reserved) &&
           memcmp(token->raw, reserved, token->size) == 0;
}

bool token_is_reserved(const struct token *token)
{
    static const char *const reserved[] = { "[[",  "]]", "case", "do",     "done", "elif",  "else",  "esac",    "fi",
                                            "for", "if", "in",   "select", "then", "until", "while", "function" };

    for (size_t i = 0; i < array_size(reserved); i++)
        if (token_is(token, reserved[i]))
            return true;
    return false;
}

bool token_is_name(const struct token *token)
{
    return token->kind == TOKEN_WORD && token->plain && is_letter(token->raw[0]) &&
           name_length(token->raw, token->size) == token->size;
}
