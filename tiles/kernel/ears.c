/* Footprints to triangles: a fan where a ring is convex, else its ears are cut off one after the other.

   Every cut takes off a triangle that turns the right way, and what all triangles cover is what the ring goes
   around: once a ring is used up, they are its inside, each point once. Points on a straight edge are kept, so
   that the walls below meet the same edges. */
#include "kernel.h"

/* Corners beyond which looking at every corner for every cut is not the way. */
enum { CORNERS = 256 };
/* Metres near 0: world units are about 1e-7 apart. */
static const double METRES = 1e7;

typedef struct {
    double x[CORNERS], y[CORNERS];
    int before[CORNERS], after[CORNERS];
    /* corners that do not turn the right way: those alone can lie in an ear */
    int inward[CORNERS], inward_size;
} Ring;

static inline double turn(const Ring *ring, int a, int b, int c)
{
    return (ring->x[b] - ring->x[a]) * (ring->y[c] - ring->y[b]) -
           (ring->y[b] - ring->y[a]) * (ring->x[c] - ring->x[b]);
}

/* Whether a ring turns only one way, and once around. */
static int convex(const double *xy, size_t size)
{
    int rises = 0, half = -1, first = -1;
    for (size_t i = 0; i < size; i++) {
        const double *a = xy + 2 * i, *b = xy + 2 * ((i + 1) % size), *c = xy + 2 * ((i + 2) % size);
        double dx = b[0] - a[0], dy = b[1] - a[1];
        if (!(dx * (c[1] - b[1]) - dy * (c[0] - b[0]) >= 0))
            return 0;
        if (dx == 0 && dy == 0)
            continue;
        int now = dy > 0 || (dy == 0 && dx > 0);
        if (first < 0)
            first = now;
        rises += half == 0 && now;
        half = now;
    }
    return rises + (half == 0 && first == 1) <= 1;
}

static int inside(const Ring *ring, int a, int b, int c, int p)
{
    double x = ring->x[p], y = ring->y[p];
    if ((x == ring->x[a] && y == ring->y[a]) || (x == ring->x[b] && y == ring->y[b]) ||
        (x == ring->x[c] && y == ring->y[c]))
        return 0;
    return turn(ring, a, b, p) >= 0 && turn(ring, b, c, p) >= 0 && turn(ring, c, a, p) >= 0;
}

static int is_ear(const Ring *ring, int b)
{
    int a = ring->before[b], c = ring->after[b];
    if (!(turn(ring, a, b, c) > 0))
        return 0;
    for (int i = 0; i < ring->inward_size; i++) {
        int p = ring->inward[i];
        if (p != a && p != b && p != c && inside(ring, a, b, c, p))
            return 0;
    }
    return 1;
}

static void look_again(Ring *ring)
{
    int kept = 0;
    for (int i = 0; i < ring->inward_size; i++) {
        int p = ring->inward[i];
        if (ring->before[p] >= 0 && !(turn(ring, ring->before[p], p, ring->after[p]) > 0))
            ring->inward[kept++] = p;
    }
    ring->inward_size = kept;
}

static int64_t *add(int64_t *to, int64_t a, int64_t b, int64_t c)
{
    /* world y runs south: what turns right there turns left on the map */
    *to++ = a;
    *to++ = c;
    *to++ = b;
    return to;
}

static int cut_ears(Ring *ring, const double *xy, int size, int64_t start, int64_t *to)
{
    for (int i = 0; i < size; i++) {
        ring->x[i] = (xy[2 * i] - xy[0]) * METRES;
        ring->y[i] = (xy[2 * i + 1] - xy[1]) * METRES;
        ring->before[i] = i ? i - 1 : size - 1;
        ring->after[i] = i + 1 < size ? i + 1 : 0;
    }
    ring->inward_size = 0;
    for (int i = 0; i < size; i++)
        if (!(turn(ring, ring->before[i], i, ring->after[i]) > 0))
            ring->inward[ring->inward_size++] = i;
    int at = 0, looked = 0;
    for (int left = size; left > 2;) {
        if (!is_ear(ring, at)) {
            if (++looked > left)
                return 0;
            at = ring->after[at];
            continue;
        }
        int a = ring->before[at], c = ring->after[at];
        to = add(to, start + a, start + at, start + c);
        ring->after[a] = c;
        ring->before[c] = a;
        ring->before[at] = -1;
        left--;
        looked = 0;
        look_again(ring);
        /* the corner after the next one: cutting next to the last cut makes a fan of slivers */
        at = ring->after[c];
    }
    return 1;
}

Outcome triangulate(const double *xy, size_t points, const int64_t *coords, const uint8_t *outer, size_t rings,
                    int64_t *triangles, size_t *made, int64_t *left, size_t *left_size)
{
    Ring ring;
    int64_t *to = triangles;
    *left_size = 0;
    for (size_t i = 0; i < rings; i++) {
        int64_t start = coords[i], end = coords[i + 1];
        if (start < 0 || end < start || (uint64_t)end > points)
            return BAD_COLUMNS;
        if (!outer[i])
            continue;
        int64_t size = end - start;
        const double *own = xy + 2 * start;
        int single = i + 1 == rings || outer[i + 1];
        if (single && size >= 3 && convex(own, (size_t)size)) {
            for (int64_t k = 1; k + 1 < size; k++)
                to = add(to, start, start + k, start + k + 1);
        } else if (single && size >= 3 && size <= CORNERS && cut_ears(&ring, own, (int)size, start, to)) {
            to += 3 * (size - 2);
        } else {
            left[(*left_size)++] = (int64_t)i;
        }
    }
    *made = (size_t)(to - triangles) / 3;
    return DONE;
}
