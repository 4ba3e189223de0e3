/* The kernel as a module of Python: arrays come by the buffer protocol, are checked here, and the work is done
   without the interpreter's lock. The limited API of 3.12: one build serves every later Python. */
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030C0000
#include <Python.h>

#include <stdint.h>
#include <stdlib.h>

#include "kernel.h"

#ifndef KERNEL_SOURCES
#error "KERNEL_SOURCES is the checksum of the sources: tiles/kernel/build.py gives it"
#endif

enum { MOST_HELD = 16 };

typedef struct {
    Py_buffer *views;
    size_t size;
} Held;

static void let_go(Held *held)
{
    while (held->size)
        PyBuffer_Release(&held->views[--held->size]);
}

/* The memory of a contiguous array of numbers of ``width`` bytes; NULL with an error set. */
static const void *array(Held *held, PyObject *object, size_t width, size_t *count, int writable)
{
    Py_buffer *view = &held->views[held->size];
    if (PyObject_GetBuffer(object, view, PyBUF_C_CONTIGUOUS | (writable ? PyBUF_WRITABLE : 0)) < 0)
        return NULL;
    held->size++;
    if ((size_t)view->itemsize != width) {
        PyErr_Format(PyExc_ValueError, "an array of %zd bytes a number where %zu are expected", view->itemsize, width);
        return NULL;
    }
    *count = (size_t)view->len / width;
    /* an empty array may lie nowhere */
    return view->buf == NULL ? (const void *)held : view->buf;
}

static int said(Outcome outcome)
{
    if (outcome == NO_MEMORY)
        PyErr_NoMemory();
    else if (outcome == BAD_COLUMNS)
        PyErr_SetString(PyExc_ValueError, "columns that do not fit together");
    return outcome == DONE;
}

static int agree(int fits)
{
    if (!fits)
        PyErr_SetString(PyExc_ValueError, "arrays of lengths that do not fit together");
    return fits;
}

/* (dims, parts, coords, outer, xy) as shapes; dims may be None. */
static int shapes_of(Held *held, PyObject *tuple, Shapes *shapes)
{
    PyObject *dims, *parts, *coords, *outer, *xy;
    if (!PyArg_ParseTuple(tuple, "OOOOO", &dims, &parts, &coords, &outer, &xy))
        return 0;
    size_t dim_count = 0, part_count, coord_count, outer_count, number_count;
    shapes->dims = NULL;
    if (dims != Py_None && !(shapes->dims = array(held, dims, 1, &dim_count, 0)))
        return 0;
    if (!(shapes->parts = array(held, parts, 8, &part_count, 0)) ||
        !(shapes->coords = array(held, coords, 8, &coord_count, 0)) ||
        !(shapes->outer = array(held, outer, 1, &outer_count, 0)) ||
        !(shapes->xy = array(held, xy, 8, &number_count, 0)))
        return 0;
    if (!agree(part_count > 0 && coord_count == outer_count + 1 && number_count % 2 == 0 &&
               (shapes->dims == NULL || dim_count == part_count - 1)))
        return 0;
    shapes->features = part_count - 1;
    shapes->rings = outer_count;
    shapes->points = number_count / 2;
    return 1;
}

/* (key, codes, blob, offsets) as a property of so many features. */
static int property_of(Held *held, PyObject *tuple, size_t features, Property *property)
{
    PyObject *key, *codes, *blob, *offsets;
    size_t offset_count;
    if (!PyArg_ParseTuple(tuple, "SOOO", &key, &codes, &blob, &offsets))
        return 0;
    if (!(property->key = array(held, key, 1, &property->key_size, 0)) ||
        !(property->codes = array(held, codes, 4, &property->features, 0)) ||
        !(property->blob = array(held, blob, 1, &property->blob_size, 0)) ||
        !(property->offsets = array(held, offsets, 8, &offset_count, 0)))
        return 0;
    property->values = offset_count - 1;
    return agree(offset_count > 0 && property->features == features);
}

static int properties_of(Held *held, PyObject *tuple, Layer *layer, Property *properties)
{
    for (size_t i = 0; i < layer->property_count; i++) {
        PyObject *one = PyTuple_GetItem(tuple, (Py_ssize_t)i);
        if (one == NULL || !property_of(held, one, layer->shapes.features, properties + i))
            return 0;
    }
    layer->properties = properties;
    return 1;
}

static int layer_of(Held *held, Layer *layer, PyObject *name, PyObject *fids, PyObject *shapes, PyObject *rows,
                    PyObject *cut)
{
    size_t fid_count;
    PyObject *whole, *crossing, *tangled;
    if (!PyArg_ParseTuple(rows, "OOO", &whole, &crossing, &tangled) ||
        !(layer->name = array(held, name, 1, &layer->name_size, 0)) ||
        !(layer->fids = array(held, fids, 8, &fid_count, 0)) ||
        !(layer->whole = array(held, whole, 8, &layer->whole_size, 0)) ||
        !(layer->crossing = array(held, crossing, 8, &layer->crossing_size, 0)) ||
        !(layer->tangled = array(held, tangled, 8, &layer->tangled_size, 0)) ||
        !shapes_of(held, shapes, &layer->shapes) || !shapes_of(held, cut, &layer->cut))
        return 0;
    return agree(fid_count == layer->shapes.features && layer->shapes.dims != NULL &&
                 layer->cut.features == layer->tangled_size);
}

/* (scale, x, y, extent, margins of points, lines and polygons) */
static int tile_of(PyObject *tuple, Tile *tile)
{
    return PyArg_ParseTuple(tuple, "dddd(ddd)", &tile->scale, &tile->x, &tile->y, &tile->extent, tile->margins,
                            tile->margins + 1, tile->margins + 2);
}

/* layer(name, fids, shapes, (whole, crossing, tangled), cut, properties, tile) -> bytes */
static PyObject *layer(PyObject *module, PyObject *args)
{
    (void)module;
    PyObject *name, *fids, *shapes, *rows, *cut, *properties, *tile, *result = NULL;
    Layer made = {0};
    if (!PyArg_ParseTuple(args, "SOO!O!O!O!O!", &name, &fids, &PyTuple_Type, &shapes, &PyTuple_Type, &rows,
                          &PyTuple_Type, &cut, &PyTuple_Type, &properties, &PyTuple_Type, &tile) ||
        !tile_of(tile, &made.tile))
        return NULL;
    made.property_count = (size_t)PyTuple_Size(properties);
    Held held = {calloc(MOST_HELD + 4 * made.property_count, sizeof(Py_buffer)), 0};
    Property *columns = calloc(made.property_count + 1, sizeof(Property));
    if (held.views == NULL || columns == NULL) {
        PyErr_NoMemory();
    } else if (layer_of(&held, &made, name, fids, shapes, rows, cut) &&
               properties_of(&held, properties, &made, columns)) {
        Bytes out = {0};
        size_t start = 0;
        Outcome outcome;
        Py_BEGIN_ALLOW_THREADS
        outcome = encode_layer(&made, &out, &start);
        Py_END_ALLOW_THREADS
        if (said(outcome))
            result = PyBytes_FromStringAndSize((const char *)out.data + start, (Py_ssize_t)(out.size - start));
        free(out.data);
    }
    let_go(&held);
    free(held.views);
    free(columns);
    return result;
}

/* split(shapes, boxes, rows, (whole, crossing, tangled), tile) -> (rows written to each) */
static PyObject *split(PyObject *module, PyObject *args)
{
    (void)module;
    PyObject *columns, *boxes, *rows, *whole, *crossing, *tangled, *place, *result = NULL;
    Tile tile;
    if (!PyArg_ParseTuple(args, "O!OO(OOO)O!", &PyTuple_Type, &columns, &boxes, &rows, &whole, &crossing, &tangled,
                          &PyTuple_Type, &place) ||
        !tile_of(place, &tile))
        return NULL;
    Py_buffer views[MOST_HELD];
    Held held = {views, 0};
    Shapes shapes;
    Split to = {0};
    size_t numbers, count, room, crossing_room, tangled_room;
    const double *corners;
    const int64_t *wanted;
    if (shapes_of(&held, columns, &shapes) && (corners = array(&held, boxes, 8, &numbers, 0)) &&
        (wanted = array(&held, rows, 8, &count, 0)) && (to.whole = (int64_t *)array(&held, whole, 8, &room, 1)) &&
        (to.crossing = (int64_t *)array(&held, crossing, 8, &crossing_room, 1)) &&
        (to.tangled = (int64_t *)array(&held, tangled, 8, &tangled_room, 1)) &&
        agree(shapes.dims != NULL && numbers == 4 * shapes.features && room >= count && crossing_room >= count &&
              tangled_room >= count)) {
        Outcome outcome;
        Py_BEGIN_ALLOW_THREADS
        outcome = split_rows(&tile, &shapes, corners, wanted, count, &to);
        Py_END_ALLOW_THREADS
        if (said(outcome))
            result = Py_BuildValue("nnn", (Py_ssize_t)to.whole_size, (Py_ssize_t)to.crossing_size,
                                   (Py_ssize_t)to.tangled_size);
    }
    let_go(&held);
    return result;
}

/* triangles(xy, coords, outer, triangles, left) -> (triangles written, polygons left over) */
static PyObject *triangles(PyObject *module, PyObject *args)
{
    (void)module;
    PyObject *xy, *coords, *outer, *made, *left;
    if (!PyArg_ParseTuple(args, "OOOOO", &xy, &coords, &outer, &made, &left))
        return NULL;
    Py_buffer views[MOST_HELD];
    Held held = {views, 0};
    size_t numbers, coord_count, rings, room, left_room, found = 0, over = 0;
    const double *points;
    const int64_t *offsets;
    const uint8_t *exterior;
    int64_t *to, *to_left;
    PyObject *result = NULL;
    if ((points = array(&held, xy, 8, &numbers, 0)) && (offsets = array(&held, coords, 8, &coord_count, 0)) &&
        (exterior = array(&held, outer, 1, &rings, 0)) && (to = (int64_t *)array(&held, made, 8, &room, 1)) &&
        (to_left = (int64_t *)array(&held, left, 8, &left_room, 1)) &&
        agree(coord_count == rings + 1 && room >= 3 * (numbers / 2) && left_room >= rings)) {
        Outcome outcome;
        Py_BEGIN_ALLOW_THREADS
        outcome = triangulate(points, numbers / 2, offsets, exterior, rings, to, &found, to_left, &over);
        Py_END_ALLOW_THREADS
        if (said(outcome))
            result = Py_BuildValue("nn", (Py_ssize_t)found, (Py_ssize_t)over);
    }
    let_go(&held);
    return result;
}

/* lines(keys, whose, corners, feature, offsets, xy) -> (lines written, places written) */
static PyObject *lines(PyObject *module, PyObject *args)
{
    (void)module;
    PyObject *keys, *whose, *corners, *feature, *offsets, *xy, *result = NULL;
    if (!PyArg_ParseTuple(args, "OOOOOO", &keys, &whose, &corners, &feature, &offsets, &xy))
        return NULL;
    Py_buffer views[MOST_HELD];
    Held held = {views, 0};
    Segments of = {0};
    Lines to = {0};
    size_t whose_count, corner_count, room, offset_room, place_room;
    if ((of.keys = array(&held, keys, 8, &of.count, 0)) && (of.whose = array(&held, whose, 8, &whose_count, 0)) &&
        (of.corners = array(&held, corners, 8, &corner_count, 0)) &&
        (to.feature = (int64_t *)array(&held, feature, 8, &room, 1)) &&
        (to.offsets = (int64_t *)array(&held, offsets, 8, &offset_room, 1)) &&
        (to.xy = (int64_t *)array(&held, xy, 8, &place_room, 1)) &&
        agree(whose_count == of.count && corner_count == 2 * of.count && room >= of.count &&
              offset_room >= of.count + 1 && place_room >= 4 * of.count)) {
        Outcome outcome;
        Py_BEGIN_ALLOW_THREADS
        outcome = join_segments(&of, &to);
        Py_END_ALLOW_THREADS
        if (said(outcome))
            result = Py_BuildValue("nn", (Py_ssize_t)to.count, (Py_ssize_t)to.places);
    }
    let_go(&held);
    return result;
}

static PyMethodDef METHODS[] = {
    {"layer", layer, METH_VARARGS, NULL},
    {"split", split, METH_VARARGS, NULL},
    {"lines", lines, METH_VARARGS, NULL},
    {"triangles", triangles, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static int with_sources(PyObject *module) { return PyModule_AddIntConstant(module, "SOURCES", KERNEL_SOURCES); }

static PyModuleDef_Slot SLOTS[] = {
    {Py_mod_exec, (void *)(intptr_t)with_sources},
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
    {0, NULL},
};

static PyModuleDef MODULE = {PyModuleDef_HEAD_INIT, "_kernel", NULL, 0, METHODS, SLOTS, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__kernel(void) { return PyModuleDef_Init(&MODULE); }
