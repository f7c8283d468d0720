// Sends a training set to the tab of the Dreambooth extension, if it is installed.
//
// The fields of that tab have no ids, so they are found by their labels. They are only filled in: nothing is saved or
// started.

(() => {
    "use strict";

    const BUTTON = "#riffusion_to_dreambooth";
    const FOLDER = "#riffusion_review_folder";
    const LIST = "concepts_list.json";

    const root = () => (typeof gradioApp === "function" ? gradioApp() : document);
    // In gradio 4, the button of a tab has the same id with a suffix, hence the class.
    const dreambooth = () => root().querySelector('.tabitem[id^="tab_dreambooth"]');

    function labelled(parent, text, selector) {
        const label = [...parent.querySelectorAll("label")].find((item) => item.textContent.trim() === text);
        return label ? label.querySelector(selector) : null;
    }

    function fill(field, value) {
        const prototype = Object.getPrototypeOf(field);
        Object.getOwnPropertyDescriptor(prototype, "value").set.call(field, value);
        field.dispatchEvent(new Event("input", {bubbles: true}));
        field.dispatchEvent(new Event("change", {bubbles: true}));
    }

    function send() {
        const tab = dreambooth();
        const folder = root().querySelector(`${FOLDER} textarea, ${FOLDER} input`).value.trim().replace(/^"|"$/g, "");
        const path = tab && labelled(tab, "Concepts List", "textarea, input");
        const use = tab && labelled(tab, "Use Concepts List", "input[type=checkbox]");
        if (!folder || !path || !use) {
            alert(
                folder
                    ? `The fields of the Dreambooth tab were not found. Its "Concepts List" is ${folder}/${LIST}`
                    : "Make or name a training set first."
            );
            return;
        }
        if (!use.checked) {
            use.click();
        }
        const slash = folder.includes("\\") && !folder.includes("/") ? "\\" : "/";
        let end = folder.length;
        while (end > 0 && "\\/".includes(folder[end - 1])) {
            end -= 1;
        }
        fill(path, folder.slice(0, end) + slash + LIST);
        const button = [...root().querySelectorAll("#tabs > .tab-nav > button")].find((item) =>
            item.textContent.trim().startsWith("Dreambooth")
        );
        if (button) {
            button.click();
        }
        path.scrollIntoView({block: "center"});
        path.focus();
    }

    onUiLoaded(() => {
        const button = root().querySelector(BUTTON);
        if (button && dreambooth()) {
            document.body.classList.add("riffusion-dreambooth"); // not on the button: gradio overwrites its classes
            button.addEventListener("click", send);
        }
    });
})();

// Called by the webui when an image is sent from a gallery to the page Song.

(() => {
    "use strict";

    const root = () => (typeof gradioApp === "function" ? gradioApp() : document);

    // In gradio 3, buttons of tabs have no ids, and their texts may be translated; they are in the order of the pages.
    function openPage(tabs, page) {
        const pages = [...tabs.querySelectorAll(":scope > .tabitem")];
        const button = tabs.querySelectorAll(":scope > .tab-nav > button")[pages.indexOf(page)];
        if (button) {
            button.click();
        }
    }

    function toSong(...values) {
        const page = root().querySelector(".tabitem#riffusion_page_song");
        const tabs = root().querySelector("#tabs");
        if (tabs) {
            openPage(tabs, tabs.querySelector(":scope > .tabitem#tab_riffusion"));
        }
        openPage(page.parentElement, page);
        const fold = page.querySelector("#riffusion_song_pictures .label-wrap:not(.open)");
        if (fold) {
            fold.click();
        }
        return values;
    }

    window.switch_to_riffusion_seed_picture = toSong;
    window.switch_to_riffusion_before = toSong;
})();
