/* One layer of a Mapbox Vector Tile (version 2.1) from columns, in one pass over its features and one over its
   properties. tiles/vector/encode.py has the same by whole-array steps, and the same bytes. */
#include "clip.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOVE_TO = 1, LINE_TO = 2, CLOSE_PATH = 7 };
enum { VARINT = 10 };

typedef struct {
    int64_t x, y;
} Spot;

/* Where the pen is in a feature, and whether the polygon that is drawn has its exterior. */
typedef struct {
    Spot cursor;
    int ring, exterior_kept;
} Course;

/* A feature that is drawn: its row, and where its geometry ends. */
typedef struct {
    int64_t row;
    size_t end;
    uint8_t dim;
} Drawn;

typedef struct {
    Spot *spots;
    size_t room;
    Pieces pieces[2];
    Bytes geometry;
    Drawn *drawn;
    size_t count;
} Drawing;

/* The values of a property in order of first use, and which of them each drawn feature has. */
typedef struct {
    int32_t *used, *ranks;
    size_t count;
} Ranked;

static int reserve(Bytes *bytes, size_t more)
{
    if (bytes->room - bytes->size >= more)
        return 1;
    size_t room = bytes->room + bytes->room / 2;
    if (room < bytes->size + more)
        room = bytes->size + more;
    uint8_t *data = realloc(bytes->data, room);
    if (data == NULL)
        return 0;
    bytes->data = data;
    bytes->room = room;
    return 1;
}

static inline uint8_t *put(uint8_t *at, uint64_t value)
{
    while (value > 0x7F) {
        *at++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *at++ = (uint8_t)value;
    return at;
}

static inline size_t width(uint64_t value)
{
    size_t size = 1;
    while (value > 0x7F) {
        value >>= 7;
        size++;
    }
    return size;
}

static inline uint8_t *put_signed(uint8_t *at, int64_t value)
{
    return put(at, ((uint64_t)value << 1) ^ (uint64_t)(value >> 63));
}

static inline int64_t minus(int64_t a, int64_t b) { return (int64_t)((uint64_t)a - (uint64_t)b); }

static inline int64_t whole_number(double value)
{
    /* what does not fit is what numpy makes of it on the machines that we know */
    if (!(value >= -9223372036854775808.0 && value < 9223372036854775808.0))
        return INT64_MIN;
    return (int64_t)rint(value);
}

static int spots_for(Drawing *drawing, size_t count)
{
    if (drawing->room >= count)
        return 1;
    Spot *spots = realloc(drawing->spots, count * sizeof(Spot));
    if (spots == NULL)
        return 0;
    drawing->spots = spots;
    drawing->room = count;
    return 1;
}

/* A part in whole units, without points that repeat their predecessor (in a ring: cyclically). */
static size_t round_part(const double *xy, size_t count, double scale, double x, double y, int ring, Spot *to)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        Spot spot = {whole_number(xy[2 * i] * scale - x), whole_number(xy[2 * i + 1] * scale - y)};
        if (kept && spot.x == to[kept - 1].x && spot.y == to[kept - 1].y)
            continue;
        to[kept++] = spot;
    }
    if (ring && kept > 1 && to[0].x == to[kept - 1].x && to[0].y == to[kept - 1].y)
        kept--;
    return kept;
}

static int64_t doubled_area(const Spot *spots, size_t count)
{
    uint64_t area = 0;
    Spot last = spots[count - 1];
    for (size_t i = 0; i < count; i++) {
        area += (uint64_t)last.x * (uint64_t)spots[i].y - (uint64_t)spots[i].x * (uint64_t)last.y;
        last = spots[i];
    }
    return (int64_t)area;
}

static uint8_t *put_spots(uint8_t *at, const Spot *spots, size_t count, Spot *cursor)
{
    for (size_t i = 0; i < count; i++) {
        at = put_signed(at, minus(spots[i].x, cursor->x));
        at = put_signed(at, minus(spots[i].y, cursor->y));
        *cursor = spots[i];
    }
    return at;
}

static Outcome draw_points(Drawing *drawing, const double *xy, size_t count, double scale, double x, double y)
{
    if (!count)
        return DONE;
    if (!reserve(&drawing->geometry, VARINT * (2 * count + 1)))
        return NO_MEMORY;
    uint8_t *at = put(drawing->geometry.data + drawing->geometry.size, (uint64_t)count << 3 | MOVE_TO);
    Spot cursor = {0, 0};
    for (size_t i = 0; i < count; i++) {
        Spot spot = {whole_number(xy[2 * i] * scale - x), whole_number(xy[2 * i + 1] * scale - y)};
        at = put_spots(at, &spot, 1, &cursor);
    }
    drawing->geometry.size = (size_t)(at - drawing->geometry.data);
    return DONE;
}

/* One line or ring of a feature. */
static Outcome draw_part(Drawing *drawing, const double *xy, size_t count, Course *course, int outer, double scale,
                         double x, double y)
{
    if (!spots_for(drawing, count))
        return NO_MEMORY;
    Spot *spots = drawing->spots;
    count = round_part(xy, count, scale, x, y, course->ring, spots);
    int keep = count >= (course->ring ? 3u : 2u);
    if (course->ring) {
        if (keep) {
            int64_t area = doubled_area(spots, count);
            keep = outer ? area > 0 : area < 0;
        }
        /* a hole goes with its exterior */
        if (outer)
            course->exterior_kept = keep;
        keep = keep && course->exterior_kept;
    }
    if (!keep)
        return DONE;
    if (!reserve(&drawing->geometry, VARINT * (2 * count + 3)))
        return NO_MEMORY;
    uint8_t *at = drawing->geometry.data + drawing->geometry.size;
    at = put(at, 1 << 3 | MOVE_TO);
    at = put_spots(at, spots, 1, &course->cursor);
    at = put(at, (uint64_t)(count - 1) << 3 | LINE_TO);
    at = put_spots(at, spots + 1, count - 1, &course->cursor);
    if (course->ring)
        at = put(at, 1 << 3 | CLOSE_PATH);
    drawing->geometry.size = (size_t)(at - drawing->geometry.data);
    return DONE;
}

static Outcome draw_parts(Drawing *drawing, const Shapes *shapes, int64_t first, int64_t end, int ring, double scale,
                          double x, double y)
{
    Course course = {{0, 0}, ring, 0};
    Outcome outcome = DONE;
    for (int64_t part = first; part < end && outcome == DONE; part++) {
        int64_t start = shapes->coords[part];
        size_t count = (size_t)(shapes->coords[part + 1] - start);
        outcome =
            draw_part(drawing, shapes->xy + 2 * start, count, &course, shapes->outer[part] == 1, scale, x, y);
    }
    return outcome;
}

/* Parts of a feature outside of its clip box go, and points beyond the edge. */
static Outcome draw_clipped(Drawing *drawing, const Layer *layer, int64_t row)
{
    const Shapes *shapes = &layer->shapes;
    uint8_t dim = shapes->dims[row];
    double low = -layer->tile.margins[dim], high = layer->tile.extent + layer->tile.margins[dim];
    Course course = {{0, 0}, dim == POLYGON, 0};
    int64_t first = shapes->parts[row], end = shapes->parts[row + 1];
    Outcome outcome = DONE;
    if (dim == POINT) {
        Pieces *pieces = drawing->pieces;
        if (!in_units(shapes, first, end, layer->tile.scale, layer->tile.x, layer->tile.y, pieces))
            return NO_MEMORY;
        return draw_points(drawing, pieces->xy, owned(pieces->xy, pieces->count, low, high), 1.0, 0.0, 0.0);
    }
    for (int64_t part = first; part < end && outcome == DONE; part++) {
        Pieces *pieces = drawing->pieces;
        if (!in_units(shapes, part, part + 1, layer->tile.scale, layer->tile.x, layer->tile.y, pieces) ||
            !(pieces = clip_part(pieces, dim == POLYGON, low, high)))
            return NO_MEMORY;
        for (size_t i = 0; i < pieces->parts && outcome == DONE; i++) {
            size_t start = pieces->starts[i];
            size_t after = i + 1 < pieces->parts ? pieces->starts[i + 1] : pieces->count;
            outcome = draw_part(drawing, pieces->xy + 2 * start, after - start, &course, 1, 1.0, 0.0, 0.0);
        }
    }
    return outcome;
}

/* Feature ``feature`` of shapes, as it is. */
static Outcome draw_whole(Drawing *drawing, const Shapes *shapes, size_t feature, uint8_t dim, double scale, double x,
                          double y)
{
    if (!sound(shapes, feature))
        return BAD_COLUMNS;
    int64_t first = shapes->parts[feature], end = shapes->parts[feature + 1];
    if (first == end)
        return DONE;
    int64_t start = shapes->coords[first];
    if (dim == POINT)
        return draw_points(drawing, shapes->xy + 2 * start, (size_t)(shapes->coords[end] - start), scale, x, y);
    return draw_parts(drawing, shapes, first, end, dim == POLYGON, scale, x, y);
}

static void drew(Drawing *drawing, size_t before, int64_t row, uint8_t dim)
{
    if (drawing->geometry.size > before)
        drawing->drawn[drawing->count++] = (Drawn){row, drawing->geometry.size, dim};
}

static Outcome draw_all(const Layer *layer, Drawing *drawing)
{
    const Shapes *shapes = &layer->shapes;
    drawing->drawn = malloc((layer->whole_size + layer->crossing_size + 1) * sizeof(Drawn));
    if (drawing->drawn == NULL)
        return NO_MEMORY;
    Outcome outcome = DONE;
    size_t cut = 0;
    for (size_t i = 0; i < layer->whole_size + layer->crossing_size && outcome == DONE; i++) {
        int crosses = i >= layer->whole_size;
        int64_t row = crosses ? layer->crossing[i - layer->whole_size] : layer->whole[i];
        if (row < 0 || (uint64_t)row >= shapes->features || shapes->dims[row] > POLYGON ||
            !sound(shapes, (size_t)row))
            return BAD_COLUMNS;
        size_t before = drawing->geometry.size;
        if (!crosses)
            outcome = draw_whole(drawing, shapes, (size_t)row, shapes->dims[row], layer->tile.scale, layer->tile.x, layer->tile.y);
        else if (cut < layer->tangled_size && layer->tangled[cut] == row)
            outcome = draw_whole(drawing, &layer->cut, cut++, shapes->dims[row], 1.0, 0.0, 0.0);
        else
            outcome = draw_clipped(drawing, layer, row);
        drew(drawing, before, row, shapes->dims[row]);
    }
    return outcome;
}

/* Places of codes in a table of powers of two, which is for dictionaries that are large beside the tile. */
static inline size_t place_of(uint32_t code, size_t mask) { return (code * 0x9E3779B1u >> 7) & mask; }

static Outcome rank(const Property *property, const Drawing *drawing, Ranked *to)
{
    size_t count = drawing->count, mask = 0;
    int direct = property->values <= 4 * count + 64;
    if (!direct)
        for (mask = 64; mask < 2 * count; mask *= 2)
            ;
    size_t room = direct ? property->values : mask;
    int32_t *table = malloc((room + 1) * sizeof(int32_t));
    to->ranks = malloc((count + 1) * sizeof(int32_t));
    to->used = malloc((count + 1) * sizeof(int32_t));
    Outcome outcome = table && to->ranks && to->used ? DONE : NO_MEMORY;
    if (outcome == DONE)
        memset(table, 0xFF, room * sizeof(int32_t));
    for (size_t i = 0; i < count && outcome == DONE; i++) {
        int32_t code = property->codes[drawing->drawn[i].row];
        if (code < 0) {
            to->ranks[i] = -1;
            continue;
        }
        if ((size_t)code >= property->values) {
            outcome = BAD_COLUMNS;
            continue;
        }
        size_t at = (size_t)code;
        if (!direct)
            for (at = place_of((uint32_t)code, mask - 1); table[at] >= 0 && to->used[table[at]] != code;)
                at = (at + 1) & (mask - 1);
        if (table[at] < 0) {
            table[at] = (int32_t)to->count;
            to->used[to->count++] = code;
        }
        to->ranks[i] = table[at];
    }
    free(table);
    return outcome;
}

/* Tags (MVT 2.1, clause 4.4) of a drawn feature: keys are counted over the properties that are used. */
static uint8_t *put_tags(uint8_t *at, const Ranked *ranked, size_t properties, size_t feature)
{
    uint64_t key = 0, base = 0;
    for (size_t p = 0; p < properties; p++) {
        if (!ranked[p].count)
            continue;
        int32_t rank = ranked[p].ranks[feature];
        if (rank >= 0) {
            at = put(at, key);
            at = put(at, base + (uint64_t)rank);
        }
        key++;
        base += ranked[p].count;
    }
    return at;
}

static Outcome put_features(const Layer *layer, const Drawing *drawing, const Ranked *ranked, uint8_t *tags, Bytes *out)
{
    size_t begin = 0;
    for (size_t i = 0; i < drawing->count; i++) {
        const Drawn *drawn = drawing->drawn + i;
        size_t tag_size = (size_t)(put_tags(tags, ranked, layer->property_count, i) - tags);
        size_t geometry_size = drawn->end - begin;
        uint64_t fid = (uint64_t)layer->fids[drawn->row];
        size_t inner =
            1 + width(fid) + 1 + width(tag_size) + tag_size + 2 + 1 + width(geometry_size) + geometry_size;
        if (!reserve(out, 1 + VARINT + inner))
            return NO_MEMORY;
        uint8_t *at = out->data + out->size;
        *at++ = 0x12;
        at = put(at, inner);
        *at++ = 0x08;
        at = put(at, fid);
        *at++ = 0x12;
        at = put(at, tag_size);
        memcpy(at, tags, tag_size);
        at += tag_size;
        *at++ = 0x18;
        *at++ = (uint8_t)(drawn->dim + 1);
        *at++ = 0x22;
        at = put(at, geometry_size);
        memcpy(at, drawing->geometry.data + begin, geometry_size);
        out->size = (size_t)(at + geometry_size - out->data);
        begin = drawn->end;
    }
    return DONE;
}

static Outcome put_text(Bytes *out, uint8_t tag, const uint8_t *text, size_t size)
{
    if (!reserve(out, 1 + VARINT + size))
        return NO_MEMORY;
    uint8_t *at = out->data + out->size;
    *at++ = tag;
    at = put(at, size);
    if (size)
        memcpy(at, text, size);
    out->size = (size_t)(at + size - out->data);
    return DONE;
}

static Outcome put_values(const Property *property, const Ranked *ranked, Bytes *out)
{
    for (size_t i = 0; i < ranked->count; i++) {
        int64_t first = property->offsets[ranked->used[i]], end = property->offsets[ranked->used[i] + 1];
        if (first < 0 || end < first || (uint64_t)end > property->blob_size)
            return BAD_COLUMNS;
        size_t size = (size_t)(end - first);
        if (!reserve(out, size))
            return NO_MEMORY;
        if (size)
            memcpy(out->data + out->size, property->blob + first, size);
        out->size += size;
    }
    return DONE;
}

/* The body of the message, after room for its key and length. */
static Outcome put_body(const Layer *layer, const Drawing *drawing, const Ranked *ranked, Bytes *out)
{
    uint8_t *tags = malloc(2 * VARINT * (layer->property_count + 1));
    if (tags == NULL || !reserve(out, drawing->geometry.size + 32 * drawing->count + layer->name_size + 64)) {
        free(tags);
        return NO_MEMORY;
    }
    out->size = 1 + VARINT;
    out->data[out->size++] = 0x78;
    out->data[out->size++] = 2;
    Outcome outcome = put_text(out, 0x0A, layer->name, layer->name_size);
    if (outcome == DONE)
        outcome = put_features(layer, drawing, ranked, tags, out);
    free(tags);
    for (size_t p = 0; p < layer->property_count && outcome == DONE; p++)
        if (ranked[p].count)
            outcome = put_text(out, 0x1A, layer->properties[p].key, layer->properties[p].key_size);
    for (size_t p = 0; p < layer->property_count && outcome == DONE; p++)
        outcome = put_values(layer->properties + p, ranked + p, out);
    if (outcome != DONE || !reserve(out, 1 + VARINT))
        return outcome == DONE ? NO_MEMORY : outcome;
    out->data[out->size++] = 0x28;
    out->size = (size_t)(put(out->data + out->size, (uint64_t)layer->tile.extent) - out->data);
    return DONE;
}

Outcome encode_layer(const Layer *layer, Bytes *out, size_t *start)
{
    Drawing drawing = {0};
    Ranked *ranked = calloc(layer->property_count + 1, sizeof(Ranked));
    Outcome outcome = ranked == NULL ? NO_MEMORY : draw_all(layer, &drawing);
    for (size_t p = 0; p < layer->property_count && outcome == DONE && drawing.count; p++)
        outcome = rank(layer->properties + p, &drawing, ranked + p);
    if (outcome == DONE && drawing.count)
        outcome = put_body(layer, &drawing, ranked, out);
    *start = 0;
    if (outcome == DONE && drawing.count) {
        size_t size = out->size - 1 - VARINT;
        *start = VARINT - width(size);
        out->data[*start] = 0x1A;
        put(out->data + *start + 1, size);
    }
    for (size_t p = 0; ranked != NULL && p < layer->property_count; p++) {
        free(ranked[p].used);
        free(ranked[p].ranks);
    }
    free(ranked);
    free(drawing.spots);
    free_pieces(&drawing.pieces[0]);
    free_pieces(&drawing.pieces[1]);
    free(drawing.drawn);
    free(drawing.geometry.data);
    return outcome;
}
