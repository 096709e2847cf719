/* Hears the reads and the release of an Arrow stream.
 *
 * A stream is a C structure of function pointers (https://arrow.apache.org/docs/format/CStreamInterface.html). It may
 * be released while a Python exception is pending, which a callback made with ctypes cannot survive: hence C.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>

struct ArrowSchema;

struct ArrowArray {
    int64_t length, null_count, offset, n_buffers, n_children;
    const void **buffers;
    struct ArrowArray **children;
    struct ArrowArray *dictionary;
    void (*release)(struct ArrowArray *);
    void *private_data;
};

struct ArrowArrayStream {
    int (*get_schema)(struct ArrowArrayStream *, struct ArrowSchema *);
    int (*get_next)(struct ArrowArrayStream *, struct ArrowArray *);
    const char *(*get_last_error)(struct ArrowArrayStream *);
    void (*release)(struct ArrowArrayStream *);
    void *private_data;
};

typedef struct {
    struct ArrowArrayStream inner; /* DuckDB's own stream, moved here */
    PyObject *enter;               /* called before a read */
    PyObject *leave;               /* called after it with what `enter` returned, the rows or -1, and the error or None */
    PyObject *done;                /* called when the stream is released */
    int rewrapped;                 /* whether the messages have passed through pyarrow once more than without us */
} Wrapped;

static int
is_running(void)
{
#if PY_VERSION_HEX >= 0x030D0000
    return Py_IsInitialized() && !Py_IsFinalizing();
#else
    return Py_IsInitialized() && !_Py_IsFinalizing();
#endif
}

/* The answer of a callback, or NULL; an error of the callback is printed, a pending one stays pending. */
static PyObject *
tell(PyObject *callback, PyObject *call, long long rows, const char *message)
{
    PyObject *type, *error, *traceback;
    PyErr_Fetch(&type, &error, &traceback);
    PyObject *answer = call == NULL      ? PyObject_CallNoArgs(callback)
                       : message == NULL ? PyObject_CallFunction(callback, "OLO", call, rows, Py_None)
                                         : PyObject_CallFunction(callback, "OLy", call, rows, message);
    if (answer == NULL) {
        PyErr_WriteUnraisable(callback);
    }
    PyErr_Restore(type, error, traceback);
    return answer;
}

static int
wrapped_schema(struct ArrowArrayStream *stream, struct ArrowSchema *schema)
{
    Wrapped *wrapped = stream->private_data;
    return wrapped->inner.get_schema(&wrapped->inner, schema);
}

/* pyarrow puts the name of the status before the message each time a stream passes through it. */
static const char *
wrapped_error(struct ArrowArrayStream *stream)
{
    static const char *const names[] = {"Invalid: ", "IOError: ", "Out of memory: ", "NotImplemented: ", NULL};
    Wrapped *wrapped = stream->private_data;
    const char *message = wrapped->inner.get_last_error(&wrapped->inner);
    for (int i = 0; message != NULL && wrapped->rewrapped && names[i] != NULL; i++) {
        if (strncmp(message, names[i], strlen(names[i])) == 0) {
            return message + strlen(names[i]);
        }
    }
    return message;
}

static int
wrapped_next(struct ArrowArrayStream *stream, struct ArrowArray *array)
{
    Wrapped *wrapped = stream->private_data;
    if (!is_running()) {
        return wrapped->inner.get_next(&wrapped->inner, array);
    }
    /* A thread that Python does not know gets a state for the whole read: the context variables live in it. */
    int is_foreign = PyGILState_GetThisThreadState() == NULL;
    PyGILState_STATE state = PyGILState_Ensure();
    PyThreadState *kept = NULL;
    PyObject *call = tell(wrapped->enter, NULL, 0, NULL);
    if (is_foreign) {
        kept = PyEval_SaveThread();
    }
    else {
        PyGILState_Release(state);
    }
    int code = wrapped->inner.get_next(&wrapped->inner, array);
    const char *message = code == 0 ? NULL : wrapped_error(stream);
    long long rows = code == 0 && array->release != NULL ? (long long)array->length : -1;
    if (is_foreign) {
        PyEval_RestoreThread(kept);
    }
    else {
        state = PyGILState_Ensure();
    }
    if (call != NULL) {
        Py_XDECREF(tell(wrapped->leave, call, rows, code != 0 && message == NULL ? "" : message));
        Py_DECREF(call);
    }
    PyGILState_Release(state);
    return code;
}

static void
wrapped_release(struct ArrowArrayStream *stream)
{
    Wrapped *wrapped = stream->private_data;
    wrapped->inner.release(&wrapped->inner);
    if (is_running()) {
        PyGILState_STATE state = PyGILState_Ensure();
        Py_XDECREF(tell(wrapped->done, NULL, 0, NULL));
        Py_DECREF(wrapped->enter);
        Py_DECREF(wrapped->leave);
        Py_DECREF(wrapped->done);
        PyGILState_Release(state);
    }
    PyMem_RawFree(wrapped);
    stream->release = NULL;
}

static PyObject *
listen(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    PyObject *capsule, *enter, *leave, *done;
    int rewrapped;
    if (!PyArg_ParseTuple(arguments, "OOOOp", &capsule, &enter, &leave, &done, &rewrapped)) {
        return NULL;
    }
    struct ArrowArrayStream *stream = PyCapsule_GetPointer(capsule, "arrow_array_stream");
    if (stream == NULL) {
        return NULL;
    }
    if (stream->release == NULL) {
        PyErr_SetString(PyExc_ValueError, "the stream was released already");
        return NULL;
    }
    Wrapped *wrapped = PyMem_RawMalloc(sizeof(Wrapped));
    if (wrapped == NULL) {
        return PyErr_NoMemory();
    }
    *wrapped = (Wrapped){*stream, Py_NewRef(enter), Py_NewRef(leave), Py_NewRef(done), rewrapped};
    *stream = (struct ArrowArrayStream){wrapped_schema, wrapped_next, wrapped_error, wrapped_release, wrapped};
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"listen", listen, METH_VARARGS, "Tell of each read and of the release of the stream in a capsule."},
    {NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "otel_duckdb.intercept._streams", "Hears Arrow streams.", -1, methods,
};

PyMODINIT_FUNC
PyInit__streams(void)
{
    return PyModule_Create(&module);
}
