/* Looks for OpenTelemetry's SDK among the Python frames of the running thread, a few instructions a frame.
 *
 * section.py has the pure Python twin, for where this module was not compiled.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#define SLOTS 256 /* a power of two */

typedef struct {
    PyObject *file;
    int judgement;
} Slot;

typedef struct {
    PyObject *judge; /* called with a file's name; 0 to look on, 1 for "inside", 2 for "not inside" */
    Slot slots[SLOTS]; /* what was judged; a name is held, so that no other can have its address */
} State;

/* What `judge` says of the file; -1 on an error. */
static int
judgement_of(State *state, PyObject *file)
{
    size_t address = (size_t)file;
    Slot *slot = &state->slots[((address >> 4) ^ (address >> 12)) & (SLOTS - 1)];
    if (slot->file == file) {
        return slot->judgement;
    }
    if (state->judge == NULL) {
        return 0;
    }
    PyObject *answer = PyObject_CallOneArg(state->judge, file);
    if (answer == NULL) {
        return -1;
    }
    int judgement = (int)PyLong_AsLong(answer);
    Py_DECREF(answer);
    if (judgement == -1 && PyErr_Occurred()) {
        return -1;
    }
    slot->judgement = judgement;
    Py_XSETREF(slot->file, Py_NewRef(file));
    return judgement;
}

static PyObject *
inside_the_sdk(PyObject *module, PyObject *Py_UNUSED(nothing))
{
    State *state = PyModule_GetState(module);
    PyFrameObject *frame = PyThreadState_GetFrame(PyThreadState_Get());
    int judgement = 0;
    while (frame != NULL && judgement == 0) {
        PyCodeObject *code = PyFrame_GetCode(frame);
        judgement = judgement_of(state, code->co_filename);
        Py_DECREF(code);
        PyFrameObject *back = PyFrame_GetBack(frame);
        Py_DECREF(frame);
        frame = back;
    }
    Py_XDECREF(frame);
    return judgement < 0 ? NULL : PyBool_FromLong(judgement == 1);
}

static PyObject *
judge_by(PyObject *module, PyObject *judge)
{
    State *state = PyModule_GetState(module);
    Py_XSETREF(state->judge, Py_NewRef(judge));
    Py_RETURN_NONE;
}

static int
section_traverse(PyObject *module, visitproc visit, void *arg)
{
    State *state = PyModule_GetState(module);
    Py_VISIT(state->judge); /* names of files refer to nothing */
    return 0;
}

static int
section_clear(PyObject *module)
{
    State *state = PyModule_GetState(module);
    Py_CLEAR(state->judge);
    for (int number = 0; number < SLOTS; number++) {
        Py_CLEAR(state->slots[number].file);
    }
    return 0;
}

static void
section_free(void *module)
{
    section_clear((PyObject *)module);
}

static PyMethodDef methods[] = {
    {"inside_the_sdk", inside_the_sdk, METH_NOARGS, "Whether the innermost frame that `judge` knows is judged 1."},
    {"judge_by", judge_by, METH_O, "Set what judges the names of files."},
    {NULL},
};

static PyModuleDef_Slot slots[] = {
    {0, NULL},
};

static struct PyModuleDef definition = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "otel_duckdb.telemetry._section",
    .m_doc = "Looks for OpenTelemetry's SDK among the frames of the running thread.",
    .m_size = sizeof(State),
    .m_methods = methods,
    .m_slots = slots,
    .m_traverse = section_traverse,
    .m_clear = section_clear,
    .m_free = section_free,
};

PyMODINIT_FUNC
PyInit__section(void)
{
    return PyModuleDef_Init(&definition);
}
