/* fetchone() for long loops, without a Python frame for each row.
 *
 * A Python function in the place of fetchone() costs a sixth of DuckDB's own time even if it does nothing
 * (docs/performance.md). This one counts the rows of a stride in C and leaves every other call to Python:
 * the pure Python twin is python_fetchone() in fetchone.py, which is used where this module was not compiled.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#ifdef Py_GIL_DISABLED
#error "the counting below relies on the global interpreter lock; the pure Python twin is used instead"
#endif

typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    PyObject *original; /* DuckDB's own fetchone */
    PyObject *heard;    /* the Python function for calls that are measured */
    PyObject *over;     /* called with (key, stride, error or None) when a stride meets its end or an error */
    PyObject *stride;   /* the stride in force, or NULL */
    PyObject *key;      /* id() of the connection the stride belongs to, or NULL */
    void *target;       /* the same as a pointer; never followed */
    PyObject *dict;
} Fetchone;


/* Python's exception state is set aside while `over` runs; an error of `over` itself is printed, never raised. */
static void
tell_over(Fetchone *self, PyObject *key, PyObject *stride)
{
    PyObject *type, *error, *traceback;
    PyErr_Fetch(&type, &error, &traceback);
    if (type != NULL) {
        PyErr_NormalizeException(&type, &error, &traceback);
        if (traceback != NULL) {
            PyException_SetTraceback(error, traceback);
        }
    }
    PyObject *answer = PyObject_CallFunctionObjArgs(self->over, key, stride, error ? error : Py_None, NULL);
    if (answer == NULL) {
        PyErr_WriteUnraisable(self->over);
    }
    Py_XDECREF(answer);
    PyErr_Restore(type, error, traceback);
}

typedef struct {
    PyObject_HEAD
    Py_ssize_t left;
    Py_ssize_t length;
    PyObject *operation;
} Stride;

static PyTypeObject *stride_type;

static PyObject *
fetchone_call(PyObject *callable, PyObject *const *arguments, size_t flags, PyObject *keywords)
{
    Fetchone *self = (Fetchone *)callable;
    Stride *stride = (Stride *)self->stride;
    if (stride == NULL || stride->left <= 0 || keywords != NULL || PyVectorcall_NARGS(flags) != 1 ||
        (void *)arguments[0] != self->target) {
        return PyObject_Vectorcall(self->heard, arguments, flags, keywords);
    }
    /* DuckDB may let other threads run: hold what belongs to this call. */
    PyObject *key = self->key;
    Py_INCREF(stride);
    Py_INCREF(key);
    PyObject *row = PyObject_Vectorcall(self->original, arguments, flags, NULL);
    if (row != NULL && row != Py_None) {
        stride->left--;
    }
    else {
        tell_over(self, key, (PyObject *)stride);
    }
    Py_DECREF(stride);
    Py_DECREF(key);
    return row;
}

static PyObject *
fetchone_get(PyObject *self, PyObject *object, PyObject *Py_UNUSED(type))
{
    if (object == NULL || object == Py_None) {
        return Py_NewRef(self);
    }
    return PyMethod_New(self, object);
}

static PyObject *
fetchone_allow(Fetchone *self, PyObject *arguments)
{
    PyObject *key, *stride;
    if (!PyArg_ParseTuple(arguments, "O!O!", &PyLong_Type, &key, stride_type, &stride)) {
        return NULL;
    }
    void *target = PyLong_AsVoidPtr(key);
    if (target == NULL && PyErr_Occurred()) {
        return NULL;
    }
    self->target = target;
    Py_INCREF(key);
    Py_XSETREF(self->key, key);
    Py_INCREF(stride);
    Py_XSETREF(self->stride, stride);
    Py_RETURN_NONE;
}

static PyObject *
fetchone_forget(Fetchone *self, PyObject *key)
{
    if (self->key != NULL && PyLong_AsVoidPtr(key) == self->target) {
        self->target = NULL;
        Py_CLEAR(self->key);
        Py_CLEAR(self->stride);
    }
    if (PyErr_Occurred()) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static int
fetchone_traverse(Fetchone *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->original);
    Py_VISIT(self->heard);
    Py_VISIT(self->over);
    Py_VISIT(self->stride);
    Py_VISIT(self->dict);
    return 0;
}

static int
fetchone_clear(Fetchone *self)
{
    Py_CLEAR(self->original);
    Py_CLEAR(self->heard);
    Py_CLEAR(self->over);
    Py_CLEAR(self->stride);
    Py_CLEAR(self->key);
    Py_CLEAR(self->dict);
    return 0;
}

static void
fetchone_dealloc(Fetchone *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    fetchone_clear(self);
    type->tp_free((PyObject *)self);
    Py_DECREF(type);
}

static PyObject *
fetchone_new(PyTypeObject *type, PyObject *arguments, PyObject *Py_UNUSED(keywords))
{
    PyObject *original, *heard, *over;
    if (!PyArg_ParseTuple(arguments, "OOO", &original, &heard, &over)) {
        return NULL;
    }
    Fetchone *self = (Fetchone *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->vectorcall = fetchone_call;
    self->original = Py_NewRef(original);
    self->heard = Py_NewRef(heard);
    self->over = Py_NewRef(over);
    return (PyObject *)self;
}

static PyMethodDef fetchone_methods[] = {
    {"allow", (PyCFunction)fetchone_allow, METH_VARARGS, "Let the calls of the object with this id pass as the stride says."},
    {"forget", (PyCFunction)fetchone_forget, METH_O, "Let no call of the object with this id pass any more."},
    {NULL},
};

static PyMemberDef fetchone_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Fetchone, vectorcall), READONLY, NULL},
    {"__dictoffset__", T_PYSSIZET, offsetof(Fetchone, dict), READONLY, NULL},
    {NULL},
};

static PyGetSetDef fetchone_getset[] = {
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {NULL},
};

static PyType_Slot fetchone_slots[] = {
    {Py_tp_doc, "A method that counts the calls of a stride and leaves all others to Python."},
    {Py_tp_new, fetchone_new},
    {Py_tp_dealloc, fetchone_dealloc},
    {Py_tp_traverse, fetchone_traverse},
    {Py_tp_clear, fetchone_clear},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_descr_get, fetchone_get},
    {Py_tp_methods, fetchone_methods},
    {Py_tp_members, fetchone_members},
    {Py_tp_getset, fetchone_getset},
    {0, NULL},
};

static PyType_Spec fetchone_spec = {
    .name = "otel_duckdb.intercept._fetchone.Fetchone",
    .basicsize = sizeof(Fetchone),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_METHOD_DESCRIPTOR,
    .slots = fetchone_slots,
};

static PyObject *
stride_new(PyTypeObject *type, PyObject *arguments, PyObject *Py_UNUSED(keywords))
{
    Py_ssize_t length;
    PyObject *operation;
    if (!PyArg_ParseTuple(arguments, "nO", &length, &operation)) {
        return NULL;
    }
    Stride *self = (Stride *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->left = self->length = length;
    self->operation = Py_NewRef(operation);
    return (PyObject *)self;
}

static int
stride_traverse(Stride *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->operation);
    return 0;
}

static int
stride_clear(Stride *self)
{
    Py_CLEAR(self->operation);
    return 0;
}

static void
stride_dealloc(Stride *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    stride_clear(self);
    type->tp_free((PyObject *)self);
    Py_DECREF(type);
}

static PyMemberDef stride_members[] = {
    {"left", T_PYSSIZET, offsetof(Stride, left), 0, "Fetches that may still pass unmeasured."},
    {"length", T_PYSSIZET, offsetof(Stride, length), READONLY, "Fetches that might pass at first."},
    {"operation", T_OBJECT_EX, offsetof(Stride, operation), READONLY, "The operation they serve."},
    {NULL},
};

static PyType_Slot stride_slots[] = {
    {Py_tp_doc, "Fetches of one operation that may pass unmeasured."},
    {Py_tp_new, stride_new},
    {Py_tp_dealloc, stride_dealloc},
    {Py_tp_traverse, stride_traverse},
    {Py_tp_clear, stride_clear},
    {Py_tp_members, stride_members},
    {0, NULL},
};

static PyType_Spec stride_spec = {
    .name = "otel_duckdb.intercept._fetchone.Stride",
    .basicsize = sizeof(Stride),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = stride_slots,
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "otel_duckdb.intercept._fetchone", "fetchone() for long loops.", -1, NULL,
};

PyMODINIT_FUNC
PyInit__fetchone(void)
{
    PyObject *self = PyModule_Create(&module);
    stride_type = (PyTypeObject *)PyType_FromSpec(&stride_spec);
    PyObject *fetchone = PyType_FromSpec(&fetchone_spec);
    if (self == NULL || stride_type == NULL || fetchone == NULL ||
        PyModule_AddObjectRef(self, "Stride", (PyObject *)stride_type) < 0 ||
        PyModule_AddObjectRef(self, "Fetchone", fetchone) < 0) {
        Py_XDECREF(self);
        Py_XDECREF(fetchone);
        return NULL;
    }
    Py_DECREF(fetchone);
    return self;
}
