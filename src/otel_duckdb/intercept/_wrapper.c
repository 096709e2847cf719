/* Stands in the place of a function of DuckDB's C module, without a Python frame of its own.
 *
 * DuckDB looks at the Python frames of its callers: for variables that a query names, for the line that a warning names,
 * for the stack that the message of a failed Python function tells. Called from here it sees the program's frames alone,
 * as it does without us. wrappers.py has the pure Python twin, for where this module was not compiled.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    PyObject *original; /* DuckDB's own function */
    PyObject *absent; /* pairs of a dictionary and a name; while each of them is None, a call passes if `dormant` */
    char dormant;     /* until `wake`, nothing can have begun that a call belongs to */
    PyObject *begin;    /* called with (arguments, keywords) before it; None if the call is not to be recorded */
    PyObject *succeed;  /* called with (what `begin` returned, result) after it; returns what the caller gets */
    PyObject *fail;     /* called with (what `begin` returned, error) after it raised */
    PyObject *report;   /* called with an Exception that one of these three raised */
    PyObject *interrupted; /* called with (what `begin` returned, error) where one was broken off, as by Ctrl-C */
    PyObject *inside;   /* the context variable that is True while code of ours runs (telemetry/section.py) */
    PyObject *dict;
    PyObject *weak_references;
} Wrapper;

/* Calls a function of ours, marked as such while it runs. */
static PyObject *
call_inside(Wrapper *self, PyObject *callable, PyObject *first, PyObject *second)
{
    PyObject *token = PyContextVar_Set(self->inside, Py_True);
    if (token == NULL) {
        return NULL;
    }
    PyObject *stack[] = {NULL, first, second}; /* the first place is for the object of a method */
    size_t given = (second == NULL ? 1 : 2) | PY_VECTORCALL_ARGUMENTS_OFFSET;
    PyObject *answer = PyObject_Vectorcall(callable, stack + 1, given, NULL);
    PyObject *type, *error, *traceback;
    PyErr_Fetch(&type, &error, &traceback);
    if (PyContextVar_Reset(self->inside, token) < 0) {
        PyErr_WriteUnraisable(self->inside);
    }
    Py_DECREF(token);
    PyErr_Restore(type, error, traceback);
    return answer;
}

/* Takes the pending error, with its traceback set. */
static PyObject *
take_error(PyObject **type, PyObject **traceback)
{
    PyObject *error;
    PyErr_Fetch(type, &error, traceback);
    PyErr_NormalizeException(type, &error, traceback);
    if (*traceback != NULL) {
        PyException_SetTraceback(error, *traceback);
    }
    return error;
}

/* One of ours raised: reports it and returns 1, unless it is no Exception, such as Ctrl-C, which stays pending. */
static int
report_fault(Wrapper *self)
{
    if (!PyErr_ExceptionMatches(PyExc_Exception)) {
        return 0;
    }
    PyObject *type, *traceback;
    PyObject *error = take_error(&type, &traceback);
    PyObject *answer = call_inside(self, self->report, error, NULL);
    Py_XDECREF(type);
    Py_XDECREF(error);
    Py_XDECREF(traceback);
    if (answer == NULL) {
        PyErr_WriteUnraisable(self->report);
    }
    Py_XDECREF(answer);
    return 1;
}

/* The pending error broke off code of ours, which now undoes what it had begun; the error stays pending. */
static void
tell_interruption(Wrapper *self, PyObject *entered)
{
    PyObject *type, *traceback;
    PyObject *error = take_error(&type, &traceback);
    PyObject *answer = call_inside(self, self->interrupted, entered, error);
    if (answer == NULL) {
        PyErr_WriteUnraisable(self->interrupted);
    }
    Py_XDECREF(answer);
    PyErr_Restore(type, error, traceback);
}

/* The pending error stays pending while `fail` runs; an Exception of `fail` itself is reported, never raised. */
static void
tell_failure(Wrapper *self, PyObject *entered)
{
    PyObject *type, *traceback;
    PyObject *error = take_error(&type, &traceback);
    PyObject *answer = call_inside(self, self->fail, entered, error);
    if (answer == NULL && !report_fault(self)) {
        tell_interruption(self, entered);
        PyObject *second_type, *second_traceback;
        PyObject *second = take_error(&second_type, &second_traceback);
        PyException_SetContext(second, error); /* takes the reference */
        Py_XDECREF(type);
        Py_XDECREF(traceback);
        PyErr_Restore(second_type, second, second_traceback);
        return;
    }
    Py_XDECREF(answer);
    PyErr_Restore(type, error, traceback);
}

/* Whether the call is made in the middle of code of ours, by a hook, an exporter or a signal handler; -1 on an error. */
static int
is_inside(Wrapper *self)
{
    PyObject *value;
    if (PyContextVar_Get(self->inside, NULL, &value) < 0) {
        return -1;
    }
    int inside = value == Py_True;
    Py_XDECREF(value);
    return inside;
}

/* Whether nobody would hear of a call. No Python code runs for that: it would cost more than the answer is worth. */
static int
is_dormant(Wrapper *self)
{
    if (!self->dormant) {
        return 0;
    }
    for (Py_ssize_t at = 0; at < PyTuple_GET_SIZE(self->absent); at++) {
        PyObject *pair = PyTuple_GET_ITEM(self->absent, at);
        if (PyDict_GetItemWithError(PyTuple_GET_ITEM(pair, 0), PyTuple_GET_ITEM(pair, 1)) != Py_None) {
            return 0;
        }
    }
    return 1;
}

/* What `begin` returns for these arguments. */
static PyObject *
call_begin(Wrapper *self, PyObject *const *given, Py_ssize_t number, PyObject *names)
{
    PyObject *entered = NULL;
    PyObject *arguments = PyTuple_New(number);
    PyObject *keywords = PyDict_New();
    if (arguments == NULL || keywords == NULL) {
        goto done;
    }
    for (Py_ssize_t at = 0; at < number; at++) {
        PyTuple_SET_ITEM(arguments, at, Py_NewRef(given[at]));
    }
    for (Py_ssize_t at = 0; names != NULL && at < PyTuple_GET_SIZE(names); at++) {
        if (PyDict_SetItem(keywords, PyTuple_GET_ITEM(names, at), given[number + at]) < 0) {
            goto done;
        }
    }
    entered = call_inside(self, self->begin, arguments, keywords);
done:
    Py_XDECREF(arguments);
    Py_XDECREF(keywords);
    return entered;
}

static PyObject *
wrapper_call(PyObject *callable, PyObject *const *given, size_t flags, PyObject *names)
{
    Wrapper *self = (Wrapper *)callable;
    /* DuckDB 1.5 calls on after a warning that was made an error: no Python code may run then. */
    int alone = PyErr_Occurred() || is_dormant(self) ? 1 : is_inside(self);
    if (alone) {
        return alone < 0 ? NULL : PyObject_Vectorcall(self->original, given, flags, names);
    }
    PyObject *entered = call_begin(self, given, PyVectorcall_NARGS(flags), names);
    if (entered == NULL) {
        if (!report_fault(self)) {
            tell_interruption(self, Py_None);
            return NULL;
        }
        entered = Py_NewRef(Py_None);
    }
    PyObject *result = PyObject_Vectorcall(self->original, given, flags, names);
    if (entered != Py_None) {
        if (result == NULL) {
            tell_failure(self, entered);
        }
        else {
            PyObject *given_back = call_inside(self, self->succeed, entered, result);
            if (given_back != NULL) {
                Py_SETREF(result, given_back);
            }
            else if (!report_fault(self)) {
                tell_interruption(self, entered);
                Py_CLEAR(result);
            }
        }
    }
    Py_DECREF(entered);
    return result;
}

static PyObject *
wrapper_get(PyObject *self, PyObject *object, PyObject *Py_UNUSED(type))
{
    if (object == NULL || object == Py_None) {
        return Py_NewRef(self);
    }
    return PyMethod_New(self, object);
}

static PyObject *
wrapper_repr(Wrapper *self)
{
    return PyObject_Repr(self->original);
}

/* Binds nothing; that it can be asked makes it a routine to `inspect` and `help`. */
static PyObject *
function_get(PyObject *self, PyObject *Py_UNUSED(object), PyObject *Py_UNUSED(type))
{
    return Py_NewRef(self);
}

/* A pickle names the place where the function stands: there, another process finds its own. */
static PyObject *
wrapper_reduce(PyObject *self, PyObject *Py_UNUSED(nothing))
{
    PyObject *answer = NULL, *find = NULL;
    PyObject *module = PyObject_GetAttrString(self, "__module__");
    PyObject *name = PyObject_GetAttrString(self, "__qualname__");
    PyObject *pkgutil = PyImport_ImportModule("pkgutil");
    if (pkgutil != NULL) {
        find = PyObject_GetAttrString(pkgutil, "resolve_name");
    }
    if (module != NULL && name != NULL && find != NULL) {
        PyObject *place = PyUnicode_FromFormat("%U:%U", module, name);
        answer = place == NULL ? NULL : Py_BuildValue("O(N)", find, place);
    }
    Py_XDECREF(module);
    Py_XDECREF(name);
    Py_XDECREF(pkgutil);
    Py_XDECREF(find);
    return answer;
}

static int
wrapper_traverse(Wrapper *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->original);
    Py_VISIT(self->begin);
    Py_VISIT(self->succeed);
    Py_VISIT(self->fail);
    Py_VISIT(self->report);
    Py_VISIT(self->interrupted);
    Py_VISIT(self->inside);
    Py_VISIT(self->absent);
    Py_VISIT(self->dict);
    return 0;
}

static int
wrapper_clear(Wrapper *self)
{
    Py_CLEAR(self->original);
    Py_CLEAR(self->begin);
    Py_CLEAR(self->succeed);
    Py_CLEAR(self->fail);
    Py_CLEAR(self->report);
    Py_CLEAR(self->interrupted);
    Py_CLEAR(self->inside);
    Py_CLEAR(self->absent);
    Py_CLEAR(self->dict);
    return 0;
}

static void
wrapper_dealloc(Wrapper *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (self->weak_references != NULL) {
        PyObject_ClearWeakRefs((PyObject *)self);
    }
    wrapper_clear(self);
    type->tp_free((PyObject *)self);
    Py_DECREF(type);
}

static PyObject *
wrapper_new(PyTypeObject *type, PyObject *arguments, PyObject *Py_UNUSED(keywords))
{
    PyObject *original, *begin, *succeed, *fail, *report, *interrupted, *inside, *absent;
    int dormant;
    if (!PyArg_ParseTuple(arguments, "OOOOOOOO!p", &original, &begin, &succeed, &fail, &report, &interrupted, &inside,
                          &PyTuple_Type, &absent, &dormant)) {
        return NULL;
    }
    for (Py_ssize_t at = 0; at < PyTuple_GET_SIZE(absent); at++) {
        PyObject *pair = PyTuple_GET_ITEM(absent, at);
        if (!PyTuple_Check(pair) || PyTuple_GET_SIZE(pair) != 2 || !PyDict_Check(PyTuple_GET_ITEM(pair, 0))) {
            PyErr_SetString(PyExc_TypeError, "what is absent must be told by pairs of a dictionary and a name");
            return NULL;
        }
    }
    Wrapper *self = (Wrapper *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->vectorcall = wrapper_call;
    self->dormant = (char)dormant;
    self->original = Py_NewRef(original);
    self->begin = Py_NewRef(begin);
    self->succeed = Py_NewRef(succeed);
    self->fail = Py_NewRef(fail);
    self->report = Py_NewRef(report);
    self->interrupted = Py_NewRef(interrupted);
    self->inside = Py_NewRef(inside);
    self->absent = Py_NewRef(absent);
    return (PyObject *)self;
}

static PyMethodDef wrapper_methods[] = {
    {"__reduce__", wrapper_reduce, METH_NOARGS, "Pickle as the name of the place where it stands."},
    {NULL},
};

static PyMemberDef wrapper_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Wrapper, vectorcall), READONLY, NULL},
    {"__dictoffset__", T_PYSSIZET, offsetof(Wrapper, dict), READONLY, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(Wrapper, weak_references), READONLY, NULL},
    {NULL},
};

static PyGetSetDef wrapper_getset[] = {
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {NULL},
};

#define WRAPPER_SLOTS \
    {Py_tp_doc, "A function that calls another between two of Python."}, {Py_tp_new, wrapper_new}, \
        {Py_tp_dealloc, wrapper_dealloc}, {Py_tp_traverse, wrapper_traverse}, {Py_tp_clear, wrapper_clear}, \
        {Py_tp_call, PyVectorcall_Call}, {Py_tp_repr, wrapper_repr}, {Py_tp_methods, wrapper_methods}, \
        {Py_tp_members, wrapper_members}, {Py_tp_getset, wrapper_getset}

static PyType_Slot wrapper_slots[] = {WRAPPER_SLOTS, {Py_tp_descr_get, wrapper_get}, {0, NULL}};
static PyType_Slot function_slots[] = {WRAPPER_SLOTS, {Py_tp_descr_get, function_get}, {0, NULL}};

static PyType_Spec wrapper_spec = {
    .name = "otel_duckdb.intercept._wrapper.Wrapper",
    .basicsize = sizeof(Wrapper),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_METHOD_DESCRIPTOR,
    .slots = wrapper_slots,
};

/* In the place of a function that is no method where a class has it for an attribute: those of a C module are none. */
static PyType_Spec function_spec = {
    .name = "otel_duckdb.intercept._wrapper.FunctionWrapper",
    .basicsize = sizeof(Wrapper),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL,
    .slots = function_slots,
};

/* No method of it: what stands in DuckDB's place has no attribute that DuckDB's own has not. */
static PyObject *
wake(PyObject *Py_UNUSED(module), PyObject *wrapper)
{
    if (Py_TYPE(wrapper)->tp_dealloc != (destructor)wrapper_dealloc) {
        PyErr_SetString(PyExc_TypeError, "wake() takes a wrapper");
        return NULL;
    }
    ((Wrapper *)wrapper)->dormant = 0;
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"wake", wake, METH_O, "Let no call of this wrapper pass unheard any more."},
    {NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "otel_duckdb.intercept._wrapper", "Wraps DuckDB's functions without a frame.", -1, functions,
};

PyMODINIT_FUNC
PyInit__wrapper(void)
{
    PyObject *self = PyModule_Create(&module);
    PyObject *wrapper = PyType_FromSpec(&wrapper_spec);
    PyObject *function = PyType_FromSpec(&function_spec);
    if (self == NULL || wrapper == NULL || function == NULL || PyModule_AddObjectRef(self, "Wrapper", wrapper) < 0
        || PyModule_AddObjectRef(self, "FunctionWrapper", function) < 0) {
        Py_CLEAR(self);
    }
    Py_XDECREF(wrapper);
    Py_XDECREF(function);
    return self;
}
