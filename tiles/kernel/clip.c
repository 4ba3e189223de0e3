/* Which features cross the edge of a tile, and what of a line or ring lies inside (Sutherland & Hodgman 1974).
   tiles/vector/clip.py has the same by whole arrays. */
#include "clip.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    /* 0: x, 1: y */
    int axis;
    /* which side of the line is kept */
    int above;
    double limit;
} Side;

void free_pieces(Pieces *pieces)
{
    free(pieces->xy);
    free(pieces->starts);
}

static int room_for(Pieces *pieces, size_t points, size_t parts)
{
    if (pieces->room < points) {
        double *xy = realloc(pieces->xy, 2 * points * sizeof(double));
        if (xy == NULL)
            return 0;
        pieces->xy = xy;
        pieces->room = points;
    }
    if (pieces->part_room < parts) {
        size_t *starts = realloc(pieces->starts, parts * sizeof(size_t));
        if (starts == NULL)
            return 0;
        pieces->starts = starts;
        pieces->part_room = parts;
    }
    return 1;
}

int sound(const Shapes *shapes, size_t feature)
{
    int64_t first = shapes->parts[feature], end = shapes->parts[feature + 1];
    if (first < 0 || end < first || (uint64_t)end > shapes->rings)
        return 0;
    for (int64_t part = first; part < end; part++)
        if (shapes->coords[part] < 0 || shapes->coords[part + 1] < shapes->coords[part])
            return 0;
    return first == end || (uint64_t)shapes->coords[end] <= shapes->points;
}

int in_units(const Shapes *shapes, int64_t first, int64_t end, double scale, double x, double y, Pieces *to)
{
    int64_t start = shapes->coords[first];
    size_t count = (size_t)(shapes->coords[end] - start);
    if (!room_for(to, count, 1))
        return 0;
    const double *xy = shapes->xy + 2 * start;
    for (size_t i = 0; i < count; i++) {
        to->xy[2 * i] = xy[2 * i] * scale - x;
        to->xy[2 * i + 1] = xy[2 * i + 1] * scale - y;
    }
    to->count = count;
    to->parts = count > 0;
    if (count)
        to->starts[0] = 0;
    return 1;
}

size_t owned(double *xy, size_t count, double low, double high)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        double x = xy[2 * i], y = xy[2 * i + 1];
        if (x >= low && y >= low && x < high && y < high) {
            xy[2 * kept] = x;
            xy[2 * kept++ + 1] = y;
        }
    }
    return kept;
}

static inline int inside(Side side, const double *point)
{
    return side.above ? point[side.axis] >= side.limit : point[side.axis] <= side.limit;
}

/* Where an edge meets the line: from inside to outside, so that neighbours with a common edge get the same point. */
static void meet(Side side, const double *near, const double *far, double *to)
{
    int axis = side.axis, other = 1 - side.axis;
    to[axis] = side.limit;
    to[other] = near[other] + (far[other] - near[other]) * (side.limit - near[axis]) / (far[axis] - near[axis]);
}

static void clip_piece(const double *xy, size_t count, int ring, Side side, Pieces *to)
{
    int here = inside(side, xy);
    /* a ring is one piece; a line begins one wherever it comes in */
    if (ring || here)
        to->starts[to->parts++] = to->count;
    size_t begun = to->count;
    for (size_t i = 0; i < count; i++) {
        const double *point = xy + 2 * i;
        if (here)
            memcpy(to->xy + 2 * to->count++, point, 2 * sizeof(double));
        if (i + 1 == count && !ring)
            return;
        const double *next = i + 1 == count ? xy : point + 2;
        int there = inside(side, next);
        if (here != there) {
            if (!ring && there)
                to->starts[to->parts++] = to->count;
            meet(side, here ? point : next, here ? next : point, to->xy + 2 * to->count++);
        }
        here = there;
    }
    if (to->count == begun)
        to->parts--;
}

static int clip_side(const Pieces *from, int ring, Side side, Pieces *to)
{
    if (!room_for(to, 2 * from->count, from->parts + from->count))
        return 0;
    to->count = to->parts = 0;
    for (size_t i = 0; i < from->parts; i++) {
        size_t start = from->starts[i], after = i + 1 < from->parts ? from->starts[i + 1] : from->count;
        clip_piece(from->xy + 2 * start, after - start, ring, side, to);
    }
    return 1;
}

static int all_inside(const Pieces *pieces, Side side)
{
    for (size_t i = 0; i < pieces->count; i++)
        if (!inside(side, pieces->xy + 2 * i))
            return 0;
    return 1;
}

Pieces *clip_part(Pieces pieces[2], int ring, double low, double high)
{
    const Side sides[] = {{0, 1, low}, {0, 0, high}, {1, 1, low}, {1, 0, high}};
    int at = 0;
    for (int i = 0; i < 4 && pieces[at].count; i++) {
        if (all_inside(&pieces[at], sides[i]))
            continue;
        if (!clip_side(&pieces[at], ring, sides[i], &pieces[1 - at]))
            return NULL;
        at = 1 - at;
    }
    return &pieces[at];
}

/* How often a ring crosses a line; ``scale`` and ``shift`` are those of the line's axis. */
static int crossings(const double *xy, size_t count, Side side, double scale, double shift)
{
    int crossed = 0;
    double last[2], point[2];
    last[side.axis] = xy[2 * (count - 1) + (size_t)side.axis] * scale - shift;
    int was = inside(side, last);
    for (size_t i = 0; i < count; i++) {
        point[side.axis] = xy[2 * i + (size_t)side.axis] * scale - shift;
        int is = inside(side, point);
        crossed += is != was;
        was = is;
    }
    return crossed;
}

/* Whether a polygon may come apart at the edge: it has a hole, or a ring crosses a line more than twice. */
static int is_tangled(const Tile *tile, const Shapes *shapes, int64_t row)
{
    double low = -tile->margins[POLYGON], high = tile->extent + tile->margins[POLYGON];
    const Side sides[] = {{0, 1, low}, {0, 0, high}, {1, 1, low}, {1, 0, high}};
    for (int64_t part = shapes->parts[row]; part < shapes->parts[row + 1]; part++) {
        size_t count = (size_t)(shapes->coords[part + 1] - shapes->coords[part]);
        if (!shapes->outer[part])
            return 1;
        for (int i = 0; i < 4 && count; i++)
            if (crossings(shapes->xy + 2 * shapes->coords[part], count, sides[i], tile->scale,
                          sides[i].axis ? tile->y : tile->x) > 2)
                return 1;
    }
    return 0;
}

Outcome split_rows(const Tile *tile, const Shapes *shapes, const double *boxes, const int64_t *rows, size_t count,
                   Split *to)
{
    for (size_t i = 0; i < count; i++) {
        int64_t row = rows[i];
        if (row < 0 || (uint64_t)row >= shapes->features || shapes->dims[row] > POLYGON ||
            !sound(shapes, (size_t)row))
            return BAD_COLUMNS;
        const double *box = boxes + 4 * row;
        double west = box[0] * tile->scale - tile->x, north = box[1] * tile->scale - tile->y;
        double east = box[2] * tile->scale - tile->x, south = box[3] * tile->scale - tile->y;
        uint8_t dim = shapes->dims[row];
        double low = -tile->margins[dim], high = tile->extent + tile->margins[dim];
        int within = west >= low && north >= low && east <= high && south <= high;
        /* a point on the east or south edge belongs to the neighbour */
        if (dim == POINT)
            within = within && east < high && south < high;
        if (within) {
            to->whole[to->whole_size++] = row;
        } else if (west <= high && north <= high && east >= low && south >= low &&
                   (dim != POINT || shapes->parts[row + 1] - shapes->parts[row] > 1)) {
            to->crossing[to->crossing_size++] = row;
            if (dim == POLYGON && is_tangled(tile, shapes, row))
                to->tangled[to->tangled_size++] = row;
        }
    }
    return DONE;
}
