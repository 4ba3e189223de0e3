/* Segments on a small grid as lines, joined where two of one feature meet and no other does.
   tiles/levels/segments.py has the same by whole-array steps. */
#include "kernel.h"

#include <stdlib.h>
#include <string.h>

enum { BITS = 7, PLACES = 1 << 2 * BITS, MASK = PLACES - 1 };

/* The segments that leave each place of the grid: how many, and the first two. Segment k leaves its first end as
   2 k, its second as 2 k + 1. */
typedef struct {
    int64_t leaving[PLACES][2];
    uint8_t degree[PLACES];
} Grid;

typedef struct {
    int64_t x, y;
} Spot;

static inline size_t place_of(const Segments *of, int64_t element)
{
    uint64_t key = of->keys[element / 2];
    return (size_t)((element % 2 ? key : key >> 2 * BITS) & MASK);
}

static inline Spot spot_of(const Segments *of, int64_t element)
{
    size_t place = place_of(of, element);
    const int64_t *corner = of->corners + 2 * (element / 2);
    return (Spot){(int64_t)(place >> BITS) + corner[0], (int64_t)(place & ((1 << BITS) - 1)) + corner[1]};
}

/* What follows an element: the other one that leaves where it ends, if there is but one; -1. */
static inline int64_t after(const Segments *of, const Grid *grid, int64_t element)
{
    int64_t back = element ^ 1;
    size_t place = place_of(of, back);
    if (grid->degree[place] != 2)
        return -1;
    const int64_t *leaving = grid->leaving[place];
    return leaving[0] == back ? leaving[1] : leaving[0];
}

static void put(Lines *to, Spot spot)
{
    to->xy[2 * to->places] = spot.x;
    to->xy[2 * to->places + 1] = spot.y;
    to->places++;
}

/* The line on which a segment lies, in its direction; a ring begins with it. */
static void follow(const Segments *of, const Grid *grid, int64_t element, uint8_t *done, Lines *to)
{
    int64_t begin = element;
    for (int64_t back; (back = after(of, grid, begin ^ 1)) >= 0;) {
        begin = back ^ 1;
        if (begin == element)
            break;
    }
    Spot last = spot_of(of, begin), here = spot_of(of, begin ^ 1);
    done[begin / 2] = 1;
    put(to, last);
    for (int64_t next = after(of, grid, begin); next >= 0 && next != begin; next = after(of, grid, next)) {
        Spot there = spot_of(of, next ^ 1);
        int64_t x = here.x - last.x, y = here.y - last.y, dx = there.x - here.x, dy = there.y - here.y;
        /* straight on is no corner */
        if (x * dy != y * dx || x * dx + y * dy <= 0)
            put(to, here);
        last = here;
        here = there;
        done[next / 2] = 1;
    }
    put(to, here);
}

Outcome join_segments(const Segments *of, Lines *to)
{
    Grid *grid = calloc(1, sizeof(Grid));
    uint8_t *done = calloc(of->count + 1, 1);
    if (grid == NULL || done == NULL) {
        free(grid);
        free(done);
        return NO_MEMORY;
    }
    to->offsets[0] = 0;
    for (size_t start = 0, end; start < of->count; start = end) {
        for (end = start; end < of->count && of->whose[end] == of->whose[start]; end++)
            for (int64_t element = 2 * (int64_t)end; element < 2 * (int64_t)end + 2; element++) {
                size_t place = place_of(of, element);
                if (grid->degree[place] < 2)
                    grid->leaving[place][grid->degree[place]] = element;
                if (grid->degree[place] < 3)
                    grid->degree[place]++;
            }
        for (size_t k = start; k < end; k++)
            if (!done[k]) {
                follow(of, grid, 2 * (int64_t)k, done, to);
                to->feature[to->count++] = of->whose[k];
                to->offsets[to->count] = (int64_t)to->places;
            }
        for (size_t k = start; k < end; k++)
            grid->degree[place_of(of, 2 * (int64_t)k)] = grid->degree[place_of(of, 2 * (int64_t)k + 1)] = 0;
    }
    free(grid);
    free(done);
    return DONE;
}
