/* What the parts of the kernel have in common. Plain C11 on plain pointers: nothing here knows Python. */
#ifndef TWIN_KERNEL_H
#define TWIN_KERNEL_H

#include <stddef.h>
#include <stdint.h>

enum { POINT, LINE, POLYGON };

typedef enum {
    DONE,
    NO_MEMORY,
    /* offsets that do not ascend, or point outside their array */
    BAD_COLUMNS,
} Outcome;

/* Features as tiles.batch.Batch has them. */
typedef struct {
    const int64_t *parts, *coords;
    const uint8_t *dims, *outer;
    const double *xy;
    size_t features, rings, points;
} Shapes;

/* One property: codes of all features, and the entries of its dictionary (tiles.dictionary.Values). */
typedef struct {
    const uint8_t *key;
    size_t key_size;
    const int32_t *codes;
    const uint8_t *blob;
    const int64_t *offsets;
    size_t features, values, blob_size;
} Property;

/* How world units become those of a tile: times ``scale``, less x or y; its side, and how far beyond its edge
   features of each dimension go. */
typedef struct {
    double scale, x, y, extent, margins[3];
} Tile;

/* Rows by where they lie: inside their clip box, across its edge, and of those the polygons that
   may come apart there. There is room for all rows in each. */
typedef struct {
    int64_t *whole, *crossing, *tangled;
    size_t whole_size, crossing_size, tangled_size;
} Split;

/* What one layer of a tile is made of. */
typedef struct {
    const uint8_t *name;
    size_t name_size;
    const int64_t *fids;
    Shapes shapes;
    const int64_t *whole, *crossing, *tangled;
    size_t whole_size, crossing_size, tangled_size;
    /* the tangled ones, cut, in tile units */
    Shapes cut;
    const Property *properties;
    size_t property_count;
    Tile tile;
} Layer;

/* Bytes that grow; whoever has them frees ``data``. */
typedef struct {
    uint8_t *data;
    size_t size, room;
} Bytes;

/* The message of a layer of a vector tile with its key and length; of no bytes where nothing is drawn. It begins
   at ``start`` of ``out``. */
Outcome encode_layer(const Layer *layer, Bytes *out, size_t *start);

/* ``boxes`` (n, 4) are in world units. */
Outcome split_rows(const Tile *tile, const Shapes *shapes, const double *boxes, const int64_t *rows, size_t count,
                   Split *to);

/* Triangles of polygons, as indices into ``xy`` (three each), counter-clockwise on the map; ``made`` is their
   number, and ``triangles`` has room for one a point. ``left`` has room for one a ring and gets the exteriors of
   those polygons that are for another way: with holes, with many corners, or crossing themselves. */
Outcome triangulate(const double *xy, size_t points, const int64_t *coords, const uint8_t *outer, size_t rings,
                    int64_t *triangles, size_t *made, int64_t *left, size_t *left_size);

/* Segments by feature, ascending: of each the last 28 bits of its key are the column and row of its first end and of
   its second, counted from a corner (``corners``, two a segment). */
typedef struct {
    const uint64_t *keys;
    const int64_t *whose, *corners;
    size_t count;
} Segments;

/* Lines: the feature of each, offsets into the places, two numbers each. There is room for as many lines as segments,
   and for twice as many places. */
typedef struct {
    int64_t *feature, *offsets, *xy;
    size_t count, places;
} Lines;

Outcome join_segments(const Segments *of, Lines *to);

#endif
