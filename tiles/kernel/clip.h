/* Cutting at the edge of a tile, in tile units. */
#ifndef TWIN_CLIP_H
#define TWIN_CLIP_H

#include "kernel.h"

/* Lines or rings: ``parts`` of them, each from its start to the next one's; 0 is memory that is free to use. */
typedef struct {
    double *xy;
    size_t count, room;
    size_t *starts;
    size_t parts, part_room;
} Pieces;

void free_pieces(Pieces *pieces);

/* Whether the offsets of a feature ascend and stay inside their arrays. */
int sound(const Shapes *shapes, size_t feature);

/* Parts [first, end) of shapes in tile units, as one piece; 0 without memory. */
int in_units(const Shapes *shapes, int64_t first, int64_t end, double scale, double x, double y, Pieces *to);

/* How many points are at ``low`` or beyond and before ``high``; they are moved to the front. */
size_t owned(double *xy, size_t count, double low, double high);

/* What of the one piece in the first of two is between ``low`` and ``high``: one of the two; NULL without memory. */
Pieces *clip_part(Pieces pieces[2], int ring, double low, double high);

#endif
