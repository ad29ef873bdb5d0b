// Every key and gesture of the film, as the sheet shows them; `act` names what a key does.

const KEYS = [
  { keys: ["+", "="], shown: "+", act: "in", what: "zoom in", hand: "wheel on the focused film, or Ctrl + wheel; two fingers" },
  { keys: ["-"], shown: "−", act: "out", what: "zoom out" },
  { keys: ["0"], act: "reset", what: "reset", hand: "double click or double tap" },
  { keys: ["t"], act: "turn", what: "turn by 90°; with Shift the other way" },
  { keys: ["m"], act: "move", what: "move", hand: "drag; the middle button; two fingers" },
  { keys: ["w"], act: "window", what: "window and level", hand: "drag with the right button or with Shift, or with this tool: across for the window, down for the level" },
  { keys: ["["], act: "narrower", what: "narrower window" },
  { keys: ["]"], act: "wider", what: "wider window" },
  { keys: [","], act: "brighter", what: "level down: brighter" },
  { keys: ["."], act: "darker", what: "level up: darker" },
  { keys: ["1"], act: "default", what: "default: the picture that models see" },
  { keys: ["2"], act: "lung", what: "lung: from the darkest 2% of pixels to the brightest 30%" },
  { keys: ["3"], act: "bone", what: "bone: from the darkest 30% of pixels to the brightest 0.2%" },
  { keys: ["i"], act: "invert", what: "invert" },
  { keys: ["g"], act: "loupe", what: "magnifier; marks are hidden meanwhile", hand: "point, or drag a finger" },
  { keys: ["l"], act: "length", what: "length; Enter puts a line in the middle", hand: "drag, then drag its ends" },
  { keys: ["h"], act: "ratio", what: "cardiothoracic ratio", hand: "drag its ends to the midline, the heart's borders and the inner edges of the ribs" },
  { keys: ["Delete", "Backspace"], shown: "Delete", act: "clear", what: "clear measures; they are never stored" },
  { keys: ["?"], act: "help", what: "this sheet" },
  { keys: [], shown: "Shift + arrows", what: "move the film" },
  { keys: [], shown: "Tab, then arrows", what: "move an end of a measure by a pixel; with Shift by ten" },
];

export const actOf = (key) => KEYS.find(({ keys }) => keys.includes(key.length === 1 ? key.toLowerCase() : key))?.act;

// The rows of the sheet; `more` are the page's own.
export function sheetRows(more) {
  return [...KEYS, ...more].map(({ keys, shown, what, hand }) => [shown ?? keys[0].toUpperCase(), what, hand ?? ""]);
}
