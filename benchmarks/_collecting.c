/* A callable that lets callgrind count while it runs, and only then: `python benchmarks/parts.py`. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <valgrind/callgrind.h>

typedef struct {
    PyObject_HEAD
    PyObject *original;
} Collecting;

static PyObject *
collecting_call(Collecting *self, PyObject *arguments, PyObject *keywords)
{
    CALLGRIND_TOGGLE_COLLECT;
    PyObject *result = PyObject_Call(self->original, arguments, keywords);
    CALLGRIND_TOGGLE_COLLECT;
    return result;
}

static PyObject *
collecting_get(PyObject *self, PyObject *object, PyObject *Py_UNUSED(type))
{
    return object == NULL || object == Py_None ? Py_NewRef(self) : PyMethod_New(self, object);
}

static PyObject *
collecting_new(PyTypeObject *type, PyObject *arguments, PyObject *Py_UNUSED(keywords))
{
    PyObject *original;
    if (!PyArg_ParseTuple(arguments, "O", &original)) {
        return NULL;
    }
    Collecting *self = (Collecting *)type->tp_alloc(type, 0);
    if (self != NULL) {
        self->original = Py_NewRef(original);
    }
    return (PyObject *)self;
}

static PyType_Slot slots[] = {
    {Py_tp_new, collecting_new},
    {Py_tp_call, collecting_call},
    {Py_tp_descr_get, collecting_get},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "_collecting.Collecting",
    .basicsize = sizeof(Collecting),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = slots,
};

static PyObject *
zero(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(nothing))
{
    CALLGRIND_ZERO_STATS;
    Py_RETURN_NONE;
}

static PyObject *
dump(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(nothing))
{
    CALLGRIND_DUMP_STATS;
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"zero", zero, METH_NOARGS, "Forget what was counted."},
    {"dump", dump, METH_NOARGS, "Write what was counted, and count from 0 again."},
    {NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_collecting", NULL, -1, methods};

PyMODINIT_FUNC
PyInit__collecting(void)
{
    PyObject *self = PyModule_Create(&module);
    PyObject *collecting = PyType_FromSpec(&spec);
    if (self == NULL || collecting == NULL || PyModule_AddObjectRef(self, "Collecting", collecting) < 0) {
        Py_XDECREF(self);
        Py_XDECREF(collecting);
        return NULL;
    }
    Py_DECREF(collecting);
    return self;
}
