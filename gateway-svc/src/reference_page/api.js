"use strict";

const find = (id) => document.getElementById(id);

// Text is only ever set as text, so nothing in a description can become markup.
function make(tag, text, ...children) {
  const element = document.createElement(tag);
  if (text) {
    element.textContent = text;
  }
  element.append(...children);
  return element;
}

function link(path) {
  const anchor = make("a", path);
  anchor.href = path.slice(1);
  return anchor;
}

function allowed(schema) {
  if (schema.enum) {
    return schema.enum.join(", ");
  }
  const range = schema.maximum === undefined ? "" : ` up to ${schema.maximum}`;
  return `${schema.type}${range}`;
}

function parameterRow(parameter) {
  const name = make("td", "", make("code", parameter.name));
  if (parameter.required) {
    const mark = make("div", "required");
    mark.className = "required";
    name.append(mark);
  }
  const schema = parameter.schema;
  const initial = schema.default === undefined ? "" : String(schema.default);
  return make(
    "tr",
    "",
    name,
    make("td", parameter.description),
    make("td", allowed(schema)),
    make("td", "", make("code", initial)),
  );
}

function parameterTable(parameters) {
  const head = make("tr", "", ...["parameter", "what for", "allowed", "default"].map((text) => make("th", text)));
  const wide = make("div", "", make("table", "", head, ...parameters.map(parameterRow)));
  wide.className = "wide";
  return wide;
}

// The name of a schema, or its shape in short.
function shape(schema) {
  if (!schema) {
    return "anything";
  }
  if (schema.$ref) {
    return schema.$ref.split("/").pop();
  }
  if (schema.oneOf) {
    return schema.oneOf.map(shape).join(" or ");
  }
  if (schema.type === "array") {
    return `list of ${shape(schema.items)}`;
  }
  if (schema.additionalProperties) {
    return `map by name of ${shape(schema.additionalProperties)}`;
  }
  return Array.isArray(schema.type) ? schema.type.join(" or ") : schema.type || "anything";
}

function about(field) {
  return field.description || field.oneOf?.find((one) => one.description)?.description || "";
}

function fieldTable(schema) {
  const rows = Object.entries(schema.properties || {}).map(([name, field]) =>
    make("tr", "", make("td", "", make("code", name)), make("td", shape(field)), make("td", about(field))),
  );
  const wide = make("div", "", make("table", "", ...rows));
  wide.className = "wide";
  return wide;
}

function operation(path, described) {
  const content = make("div", "", make("p", described.description));
  content.className = "content";
  const example = described["x-example"];
  content.append(make("p", "Try it: ", link(example ? `${path}?${example}` : path)));
  if (described.parameters) {
    content.append(make("h3", "Parameters"), parameterTable(described.parameters));
  }
  const answers = described.responses["200"].content;
  const data = answers["application/json"]?.schema.properties?.data;
  content.append(make("h3", "Answer"));
  content.append(make("p", data ? `{"code": 200, "data": ${shape(data)}}` : "as shown when tried"));
  if (answers["text/csv"]) {
    content.append(make("p", "With format=csv: a table, one row per set and item."));
  }
  return make("details", "", make("summary", "", make("code", path), make("span", described.summary)), content);
}

async function show() {
  const response = await fetch("openapi.json");
  if (!response.ok) {
    throw new Error(`status ${response.status}`);
  }
  const description = await response.json();
  find("about").textContent = description.info.description;
  for (const { name } of description.tags) {
    const section = make("section", "", make("h2", name));
    for (const [path, item] of Object.entries(description.paths)) {
      if (item.get.tags.includes(name)) {
        section.append(operation(path, item.get));
      }
    }
    find("families").append(section);
  }
  const shapes = make("section", "", make("h2", "What answers consist of"));
  for (const [name, schema] of Object.entries(description.components.schemas)) {
    const content = make("div", "", make("p", schema.description || ""), fieldTable(schema));
    content.className = "content";
    shapes.append(make("details", "", make("summary", "", make("code", name)), content));
  }
  find("families").append(shapes);
}

show().catch((error) => {
  find("trouble").textContent = `The description cannot be read (${error.message}).`;
  find("trouble").hidden = false;
});
