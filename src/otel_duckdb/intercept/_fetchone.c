/* fetchone() for long loops, without a Python frame for each row.
 *
 * A Python function in the place of fetchone() costs a sixth of DuckDB's own time even if it does nothing
 * (docs/performance.md). This one counts the rows of a sampled run in C and leaves every other call to Python:
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
    PyObject *wrapped;  /* the Python function for calls that are measured */
    PyObject *over;     /* called with (key, run, error or None) when a sampled run meets its end or an error */
    PyObject *run;      /* the run in force, or NULL */
    PyObject *key;      /* id() of the connection the run belongs to, or NULL */
    void *target;       /* the same as a pointer; never followed */
    PyObject *dict;
} Fetchone;


/* Python's exception state is set aside while `over` runs; an error of `over` itself is printed, never raised. */
static void
tell_over(Fetchone *self, PyObject *key, PyObject *run)
{
    PyObject *type, *error, *traceback;
    PyErr_Fetch(&type, &error, &traceback);
    if (type != NULL) {
        PyErr_NormalizeException(&type, &error, &traceback);
        if (traceback != NULL) {
            PyException_SetTraceback(error, traceback);
        }
    }
    PyObject *answer = PyObject_CallFunctionObjArgs(self->over, key, run, error ? error : Py_None, NULL);
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
} SampledRun;

static PyTypeObject *run_type;

static PyObject *
fetchone_call(PyObject *callable, PyObject *const *arguments, size_t flags, PyObject *keywords)
{
    Fetchone *self = (Fetchone *)callable;
    SampledRun *run = (SampledRun *)self->run;
    if (run == NULL || run->left <= 0 || keywords != NULL || PyVectorcall_NARGS(flags) != 1 ||
        (void *)arguments[0] != self->target) {
        return PyObject_Vectorcall(self->wrapped, arguments, flags, keywords);
    }
    /* DuckDB may let other threads run: hold what belongs to this call. */
    PyObject *key = self->key;
    Py_INCREF(run);
    Py_INCREF(key);
    PyObject *row = PyObject_Vectorcall(self->original, arguments, flags, NULL);
    if (row != NULL && row != Py_None) {
        run->left--;
    }
    else {
        tell_over(self, key, (PyObject *)run);
    }
    Py_DECREF(run);
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
    PyObject *key, *run;
    if (!PyArg_ParseTuple(arguments, "O!O!", &PyLong_Type, &key, run_type, &run)) {
        return NULL;
    }
    void *target = PyLong_AsVoidPtr(key);
    if (target == NULL && PyErr_Occurred()) {
        return NULL;
    }
    self->target = target;
    Py_INCREF(key);
    Py_XSETREF(self->key, key);
    Py_INCREF(run);
    Py_XSETREF(self->run, run);
    Py_RETURN_NONE;
}

static PyObject *
fetchone_forget(Fetchone *self, PyObject *key)
{
    if (self->key != NULL && PyLong_AsVoidPtr(key) == self->target) {
        self->target = NULL;
        Py_CLEAR(self->key);
        Py_CLEAR(self->run);
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
    Py_VISIT(self->wrapped);
    Py_VISIT(self->over);
    Py_VISIT(self->run);
    Py_VISIT(self->dict);
    return 0;
}

static int
fetchone_clear(Fetchone *self)
{
    Py_CLEAR(self->original);
    Py_CLEAR(self->wrapped);
    Py_CLEAR(self->over);
    Py_CLEAR(self->run);
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
    PyObject *original, *wrapped, *over;
    if (!PyArg_ParseTuple(arguments, "OOO", &original, &wrapped, &over)) {
        return NULL;
    }
    Fetchone *self = (Fetchone *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->vectorcall = fetchone_call;
    self->original = Py_NewRef(original);
    self->wrapped = Py_NewRef(wrapped);
    self->over = Py_NewRef(over);
    return (PyObject *)self;
}

static PyMethodDef fetchone_methods[] = {
    {"allow", (PyCFunction)fetchone_allow, METH_VARARGS, "Let the calls of the object with this id pass as the run says."},
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
    {Py_tp_doc, "A method that counts the calls of a sampled run and leaves all others to Python."},
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
run_new(PyTypeObject *type, PyObject *arguments, PyObject *Py_UNUSED(keywords))
{
    Py_ssize_t length;
    PyObject *operation;
    if (!PyArg_ParseTuple(arguments, "nO", &length, &operation)) {
        return NULL;
    }
    SampledRun *self = (SampledRun *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->left = self->length = length;
    self->operation = Py_NewRef(operation);
    return (PyObject *)self;
}

static int
run_traverse(SampledRun *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->operation);
    return 0;
}

static int
run_clear(SampledRun *self)
{
    Py_CLEAR(self->operation);
    return 0;
}

static void
run_dealloc(SampledRun *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    run_clear(self);
    type->tp_free((PyObject *)self);
    Py_DECREF(type);
}

static PyMemberDef run_members[] = {
    {"left", T_PYSSIZET, offsetof(SampledRun, left), 0, "Fetches that may still pass unmeasured."},
    {"length", T_PYSSIZET, offsetof(SampledRun, length), READONLY, "Fetches that might pass at first."},
    {"operation", T_OBJECT_EX, offsetof(SampledRun, operation), READONLY, "The operation they serve."},
    {NULL},
};

static PyType_Slot run_slots[] = {
    {Py_tp_doc, "Fetches of one operation that may pass unmeasured."},
    {Py_tp_new, run_new},
    {Py_tp_dealloc, run_dealloc},
    {Py_tp_traverse, run_traverse},
    {Py_tp_clear, run_clear},
    {Py_tp_members, run_members},
    {0, NULL},
};

static PyType_Spec run_spec = {
    .name = "otel_duckdb.intercept._fetchone.SampledRun",
    .basicsize = sizeof(SampledRun),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = run_slots,
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "otel_duckdb.intercept._fetchone", "fetchone() for long loops.", -1, NULL,
};

PyMODINIT_FUNC
PyInit__fetchone(void)
{
    PyObject *self = PyModule_Create(&module);
    run_type = (PyTypeObject *)PyType_FromSpec(&run_spec);
    PyObject *fetchone = PyType_FromSpec(&fetchone_spec);
    if (self == NULL || run_type == NULL || fetchone == NULL ||
        PyModule_AddObjectRef(self, "SampledRun", (PyObject *)run_type) < 0 ||
        PyModule_AddObjectRef(self, "Fetchone", fetchone) < 0) {
        Py_XDECREF(self);
        Py_XDECREF(fetchone);
        return NULL;
    }
    Py_DECREF(fetchone);
    return self;
}
