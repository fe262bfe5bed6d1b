/** A text with suggestions from the server. */

import { useCombobox } from "downshift";
import { useDeferredValue, useState } from "react";
import { useValues, type ValuesOf } from "../api/queries";
import { readable } from "../lib/names";
import { Icon } from "./icons";

interface Suggested {
  of: ValuesOf;
  window: string;
  /** Whose values are suggested, such as `namespace`, `label` or `label:team`. */
  field: string;
}

interface Props extends Suggested {
  label: string;
  placeholder: string;
  /** Values that are picked already, and are not suggested again. */
  picked?: readonly string[];
  onPick: (value: string) => void;
  /** Whether a text that is not suggested can be picked too. */
  free?: boolean;
  autoFocus?: boolean;
}

export function Combobox({
  of,
  window,
  field,
  label,
  placeholder,
  picked = [],
  onPick,
  free = true,
  autoFocus = false,
}: Props) {
  const [text, setText] = useState("");
  const search = useDeferredValue(text);
  const [wanted, setWanted] = useState(false);
  const { values, busy, error } = useValues(of, window, field, search, wanted);
  const items = values.filter((value) => !picked.includes(value));
  const pick = (value: string) => {
    if (value) onPick(value);
    setText("");
  };
  const box = useCombobox<string>({
    items,
    inputValue: text,
    selectedItem: null,
    onInputValueChange: ({ inputValue, type }) => {
      if (type === useCombobox.stateChangeTypes.InputChange) setText(inputValue);
    },
    onIsOpenChange: ({ isOpen }) => isOpen && setWanted(true),
    onSelectedItemChange: ({ selectedItem }) => selectedItem !== null && pick(selectedItem ?? ""),
    itemToString: (item) => item ?? "",
  });
  return (
    <div className="combo">
      <input
        className="field"
        placeholder={placeholder}
        {...box.getInputProps({
          "aria-label": label,
          autoFocus,
          onFocus: () => setWanted(true),
          onKeyDown: (event) => {
            if (event.key === "Enter" && free && box.highlightedIndex < 0 && text.trim()) {
              event.preventDefault();
              pick(text.trim());
              box.closeMenu();
            }
            if (event.key === "Escape" && box.isOpen) event.preventDefault();
          },
        })}
      />
      <ul className="combo-list" {...box.getMenuProps({ "aria-label": label })} hidden={!box.isOpen}>
        {box.isOpen &&
          items.map((item, index) => (
            <li
              key={item}
              className={box.highlightedIndex === index ? "active" : undefined}
              {...box.getItemProps({ item, index })}
            >
              {readable(item)}
            </li>
          ))}
        {box.isOpen && items.length === 0 && (
          <li className="note" role="option" aria-selected="false" aria-disabled="true">
            {error
              ? error.message
              : busy
                ? "Looking…"
                : free && text
                  ? "Enter takes it as it is"
                  : "Nothing like it in this window"}
          </li>
        )}
      </ul>
    </div>
  );
}

/** Several values, each of which can be taken away again. */
export function Values({
  values,
  onChange,
  ...rest
}: Omit<Props, "onPick" | "picked"> & { values: readonly string[]; onChange: (values: string[]) => void }) {
  return (
    <div>
      <ul className="picked">
        {values.map((value) => (
          <li key={value} className="chip">
            <span>{readable(value)}</span>
            <button
              type="button"
              aria-label={`Take ${readable(value)} away`}
              onClick={() => onChange(values.filter((other) => other !== value))}
            >
              <Icon name="close" size={12} />
            </button>
          </li>
        ))}
      </ul>
      <Combobox
        {...rest}
        picked={values}
        onPick={(value) => onChange([...values.filter((other) => other !== value), value])}
      />
    </div>
  );
}
